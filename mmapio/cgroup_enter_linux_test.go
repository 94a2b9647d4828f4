package mmapio

import (
	"errors"
	"fmt"
	"io/fs"
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

// A process that was killed leaves its group. In a container, the next one has the same number.
func TestEnterAfterKilled(t *testing.T) {
	parent := t.TempDir()
	if err := os.Mkdir(filepath.Join(parent, fmt.Sprintf("weld-%d", os.Getpid())), 0o755); err != nil {
		t.Fatal(err)
	}
	g := memoryGroup{groupFiles: groupsV1}
	if _, err := g.enter(parent, parent, 12345); err == nil || errors.Is(err, fs.ErrExist) {
		t.Errorf("the group of a killed process is in the way: %v", err)
	}
}
