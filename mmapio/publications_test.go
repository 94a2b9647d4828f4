package mmapio

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tree is what is under a name: the content of a file under "", or of a directory's
// files under their names. A directory without files is empty, nothing is nil.
type tree map[string]string

func readTree(t *testing.T, root string) tree {
	t.Helper()
	info, err := os.Lstat(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && info.Mode().IsRegular() {
		return tree{"": readFile(t, root)}
	}
	found := tree{}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, path)
		found[filepath.ToSlash(name)] = readFile(t, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func (tr tree) write(t *testing.T, root string) {
	t.Helper()
	if tr == nil {
		return
	}
	if data, single := tr[""]; single {
		writeFile(t, root, data)
		return
	}
	if err := os.MkdirAll(root, 0o777); err != nil {
		t.Fatal(err)
	}
	for name, data := range tr {
		writeFile(t, filepath.Join(root, filepath.FromSlash(name)), data)
	}
}

func writeFile(t *testing.T, path, data string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(data), 0o666)); err != nil {
		t.Fatal(err)
	}
}

func (tr tree) equal(other tree) bool {
	return (tr == nil) == (other == nil) && maps.Equal(tr, other)
}

// publication is one way of making an output.
type publication struct {
	kind    StagingKind
	old     tree // what is there before
	fresh   tree // what is written; a single file under "model"
	want    tree // what is there afterwards
	replace bool
}

func superseded(name string) bool { return strings.HasPrefix(name, "shard-") }

var publications = map[string]publication{
	"file":          {kind: SingleFile, fresh: tree{"model": "new"}, want: tree{"": "new"}},
	"replaced file": {kind: SingleFile, old: tree{"": "old"}, fresh: tree{"model": "new"}, want: tree{"": "new"}, replace: true},
	"directory": {kind: Directory, fresh: tree{"shard-1": "one", "index": "i", "chat/a/b": "c"},
		want: tree{"shard-1": "one", "index": "i", "chat/a/b": "c"}},
	"empty directory": {kind: Directory, old: tree{}, fresh: tree{"shard-1": "one", "index": "i"},
		want: tree{"shard-1": "one", "index": "i"}},
	"replaced directory": {kind: Directory, replace: true,
		old:   tree{"shard-1": "old one", "shard-2": "old two", "index": "old", "notes": "mine", "logs/monday": "dull", "chat/x": "kept", "chat/a": "old", "chat/shard-1": "old"},
		fresh: tree{"shard-1": "one", "index": "i", "chat/a": "c"},
		want:  tree{"shard-1": "one", "index": "i", "chat/a": "c", "chat/x": "kept", "notes": "mine", "logs/monday": "dull"}},
}

// publish makes the output. One file is closed early, one has its size reserved.
func (p publication) publish(fs FS, final string) error {
	s, err := NewStaging(fs, final, p.kind)
	if err != nil {
		return err
	}
	if err := p.fill(s); err != nil {
		return errors.Join(err, s.Discard())
	}
	return s.Commit(p.replace, superseded)
}

func (p publication) fill(s *Staging) error {
	for i, name := range slices.Sorted(maps.Keys(p.fresh)) {
		data := []byte(p.fresh[name])
		if i == 0 {
			f, err := s.Create(filepath.FromSlash(name), int64(len(data)))
			if err != nil {
				return err
			}
			if _, err := f.WriteAt(data, 0); err != nil {
				return err
			}
			if err := f.Close(); err != nil {
				return err
			}
			continue
		}
		f, err := s.Create(filepath.FromSlash(name), 0)
		if err != nil {
			return err
		}
		if _, err := f.Write(data); err != nil {
			return err
		}
	}
	return s.Sync()
}

// eachPublication runs a test on every way, with and without an atomic exchange.
func eachPublication(t *testing.T, test func(t *testing.T, p publication, plain bool)) {
	for name, p := range publications {
		t.Run(name, func(t *testing.T) { test(t, p, false) })
		if p.kind == Directory && p.old != nil {
			t.Run(name+" in steps", func(t *testing.T) { test(t, p, true) })
		}
	}
}

// outputDir makes a directory in which "out" holds the old state.
func outputDir(t *testing.T, old tree) (dir, final string) {
	t.Helper()
	dir = quickDir(t)
	final = filepath.Join(dir, "out")
	old.write(t, final)
	return dir, final
}

// quickDir is a temporary directory, in memory where the system has that.
func quickDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "weld-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// checkAlone demands that nothing but the given names is in dir.
func checkAlone(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(names, e.Name()) {
			t.Errorf("%s is left", e.Name())
		}
	}
}
