package mmapio

import (
	"os"
	"path/filepath"
	"testing"
)

// Where no group can be made, nothing is left of it. That one can be, is tried by hand: a test moves itself nowhere.
func TestEnterNoGroup(t *testing.T) {
	for _, files := range []groupFiles{groupsV1, groupsV2} {
		parent := t.TempDir()
		control := filepath.Join(parent, "cgroup.subtree_control")
		if err := os.WriteFile(control, []byte("cpu\n"), 0o666); err != nil {
			t.Fatal(err)
		}
		g := memoryGroup{groupFiles: files}
		if m, err := g.enter(parent, parent, 12345); err == nil {
			t.Errorf("%v: %v", files.limits, m)
		}
		entries, err := os.ReadDir(parent)
		if err != nil || len(entries) != 1 {
			t.Errorf("%v leaves %v, %v", files.limits, entries, err)
		}
	}
}
