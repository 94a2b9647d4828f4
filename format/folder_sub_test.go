package format

import (
	"os"
	"path/filepath"
	"testing"
)

// What is no regular file is named by its whole path, once, however deep the folder is that it is asked of.
func TestIrregularFilesInSubfolders(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "a", "b"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(os.DevNull, filepath.Join(root, "a", "b", "x")); err != nil {
		t.Skip(err)
	}
	sub, err := Directory(root).Sub("a")
	if err != nil {
		t.Fatal(err)
	}
	deeper, err := sub.Sub("b")
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]Folder{"a/b/x": Directory(root), "b/x": sub, "x": deeper} {
		want := filepath.Join(root, "a", "b", "x") + " is a device; weld reads regular files only"
		if _, err := f.Open(name); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
		if _, err := f.Stat(name); err != nil && err.Error() != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}
