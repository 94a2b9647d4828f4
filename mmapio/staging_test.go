package mmapio

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
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

func TestPublish(t *testing.T) {
	eachPublication(t, func(t *testing.T, p publication, plain bool) {
		dir, final := outputDir(t, p.old)
		disk := OS
		if plain {
			disk = &errorFS{FS: OS, plain: true}
		}
		if err := p.publish(disk, final); err != nil {
			t.Fatal(err)
		}
		if got := readTree(t, final); !got.equal(p.want) {
			t.Errorf("published %v, want %v", got, p.want)
		}
		checkAlone(t, dir, "out")
	})
}

func TestPublishRefuses(t *testing.T) {
	eachPublication(t, func(t *testing.T, p publication, plain bool) {
		if !p.replace {
			t.Skip("nothing is in the way")
		}
		p.replace = false
		dir, final := outputDir(t, p.old)
		if err := p.publish(&errorFS{FS: OS, plain: plain}, final); !errors.Is(err, ErrExists) {
			t.Errorf("error %v, want ErrExists", err)
		}
		if got := readTree(t, final); !got.equal(p.old) {
			t.Errorf("the old output is now %v", got)
		}
		checkAlone(t, dir, "out")
	})
}

// TestPublishRefusesAnotherKind puts a file where a directory is wanted, and the
// other way round.
func TestPublishRefusesAnotherKind(t *testing.T) {
	for _, names := range [][2]string{{"replaced file", "replaced directory"}, {"replaced directory", "replaced file"}, {"replaced file", "empty directory"}} {
		p, old := publications[names[0]], publications[names[1]].old
		dir, final := outputDir(t, old)
		if err := p.publish(OS, final); !errors.Is(err, ErrExists) {
			t.Errorf("%s over %s: error %v, want ErrExists", names[0], names[1], err)
		}
		if got := readTree(t, final); !got.equal(old) {
			t.Errorf("%s over %s: there is now %v", names[0], names[1], got)
		}
		checkAlone(t, dir, "out")
	}
}

// TestEveryFailure fails the first operation, then the second, and so on until none
// is left to fail.
func TestEveryFailure(t *testing.T) {
	eachPublication(t, func(t *testing.T, p publication, plain bool) {
		for n := 1; ; n++ {
			dir, final := outputDir(t, p.old)
			disk := &errorFS{FS: OS, failAt: n, plain: plain}
			err := p.publish(disk, final)
			if disk.failed == nil {
				if err != nil {
					t.Errorf("without a failure: %v", err)
				}
				if n < 10 {
					t.Errorf("%d operations in all: the rehearsal is no good", n)
				}
				return
			}
			where := disk.failed[0]
			if !errors.Is(err, errInjected) {
				t.Errorf("%s: the failure does not surface: %v", where, err)
				continue
			}
			checkOldOrNew(t, where, p, final, err)
			checkLeftovers(t, where, dir, err)

			p := p // the next run has nothing to fear
			p.replace = true
			if err := p.publish(&errorFS{FS: OS, plain: plain}, final); err != nil {
				t.Errorf("%s: the next run: %v", where, err)
			} else if got := readTree(t, final); !got.equal(p.want) {
				t.Errorf("%s: the next run published %v, want %v", where, got, p.want)
			}
			checkAlone(t, dir, "out")
		}
	})
}

// checkOldOrNew demands the old state or the new one. Of the new one, files carried
// over from the old may still be where the error says.
func checkOldOrNew(t *testing.T, where string, p publication, final string, err error) {
	t.Helper()
	got := readTree(t, final)
	if got.equal(p.old) || got.equal(p.want) {
		return
	}
	for _, rest := range []string{StagingPath(final), StagingPath(final) + "-old"} {
		if !strings.Contains(err.Error(), "the rest of the old one is in "+rest) {
			continue
		}
		for name, data := range readTree(t, rest) {
			if p.want[name] == data {
				got[name] = data
			}
		}
		if got.equal(p.want) {
			return
		}
	}
	t.Errorf("%s: there is %v, neither the old state nor the new; error: %v", where, got, err)
}

// checkLeftovers demands that the error names whatever stays beside the output.
func checkLeftovers(t *testing.T, where, dir string, err error) {
	t.Helper()
	entries, readErr := os.ReadDir(dir)
	if readErr != nil {
		t.Fatal(readErr)
	}
	for _, e := range entries {
		if path := filepath.Join(dir, e.Name()); e.Name() != "out" && !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %s is left, and the error does not say so: %v", where, e.Name(), err)
		}
	}
}

// TestBrokenForGood fails everything from the n-th operation on: the undoing as well.
// Then whatever was there before is still somewhere, or the new output is in place.
func TestBrokenForGood(t *testing.T) {
	eachPublication(t, func(t *testing.T, p publication, plain bool) {
		for n := 1; ; n++ {
			dir, final := outputDir(t, p.old)
			disk := &errorFS{FS: OS, failAt: n, forGood: true, plain: plain}
			err := p.publish(disk, final)
			if disk.failed == nil {
				return
			}
			if !errors.Is(err, errInjected) {
				t.Errorf("%s: the failure does not surface: %v", disk.failed[0], err)
				continue
			}
			checkLeftovers(t, disk.failed[0], dir, err)
			everywhere := slices.Collect(maps.Values(readTree(t, dir)))
			inPlace := slices.Collect(maps.Values(readTree(t, final)))
			for name, data := range p.old {
				kept := p.want[name] == data
				_, replaced := p.fresh[name]
				lost := !slices.Contains(everywhere, data)
				if lost && (kept || !replaced && p.kind == Directory && !slices.Contains(inPlace, "one")) {
					t.Errorf("%s: %s is lost: %v", disk.failed[0], name, err)
				}
			}
		}
	})
}

func TestDiscard(t *testing.T) {
	for name, p := range publications {
		dir, final := outputDir(t, p.old)
		s, err := NewStaging(OS, final, p.kind)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.fill(s); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.Discard(), s.Discard()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := s.Commit(true, superseded); err == nil {
			t.Errorf("%s: a discarded stage was committed", name)
		}
		if got := readTree(t, final); !got.equal(p.old) {
			t.Errorf("%s: there is now %v", name, got)
		}
		checkAlone(t, dir, "out")
	}
}

func TestDiscardAfterCommit(t *testing.T) {
	dir, final := outputDir(t, nil)
	p := publications["directory"]
	s, err := NewStaging(OS, final, Directory)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.fill(s), s.Commit(false, nil), s.Discard()); err != nil {
		t.Fatal(err)
	}
	if got := readTree(t, final); !got.equal(p.want) {
		t.Errorf("there is now %v", got)
	}
	checkAlone(t, dir, "out")
}

func TestSingleFileNeedsOneFile(t *testing.T) {
	for _, names := range [][]string{nil, {"a", "b"}} {
		dir, final := outputDir(t, nil)
		s, err := NewStaging(OS, final, SingleFile)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if _, err := s.Create(name, 0); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Commit(true, nil); err == nil {
			t.Errorf("a single file was made of %d", len(names))
		}
		checkAlone(t, dir)
	}
}

func TestNamesStayInside(t *testing.T) {
	dir, final := outputDir(t, nil)
	s, err := NewStaging(OS, final, Directory)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Discard()
	for _, name := range []string{"", "..", "../x", "a/../../x", filepath.Join(dir, "x")} {
		if _, err := s.Create(name, 0); err == nil {
			t.Errorf("Create(%q) succeeded", name)
		}
	}
	if _, err := s.Create("twice", 0); err != nil {
		t.Error(err)
	}
	if _, err := s.Create("twice", 0); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Create of a name that is taken: %v", err)
	}
}

func TestNoParentDirectory(t *testing.T) {
	final := filepath.Join(t.TempDir(), "none", "out")
	if _, err := NewStaging(OS, final, Directory); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want ErrNotExist", err)
	}
}

// TestLinkedNames publishes under a name that is a link: what it points at is
// replaced, and the staging directory is there, where a rename can reach.
func TestLinkedNames(t *testing.T) {
	for _, name := range []string{"replaced file", "replaced directory"} {
		p := publications[name]
		dir, target := outputDir(t, p.old)
		links := t.TempDir()
		link := filepath.Join(links, "link")
		if err := os.Symlink(target, link); err != nil {
			t.Skip(err)
		}
		s, err := NewStaging(OS, target, p.kind)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := NewStaging(OS, link, p.kind); !errors.Is(err, ErrLocked) {
			t.Errorf("%s: the link and its target are written at once: %v", name, err)
		}
		if err := s.Discard(); err != nil {
			t.Fatal(err)
		}
		if err := p.publish(OS, link); err != nil {
			t.Fatal(err)
		}
		if got := readTree(t, target); !got.equal(p.want) {
			t.Errorf("%s: the link's target holds %v, want %v", name, got, p.want)
		}
		if info, err := os.Lstat(link); err != nil || info.Mode().Type() != fs.ModeSymlink {
			t.Errorf("%s: the link is gone: %v", name, err)
		}
		checkAlone(t, dir, "out")
		checkAlone(t, links, "link")
	}
}

func TestDanglingLink(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "nowhere"), link); err != nil {
		t.Skip(err)
	}
	if err := publications["directory"].publish(OS, link); !errors.Is(err, ErrExists) {
		t.Errorf("a directory over a dangling link: %v, want ErrExists", err)
	}
	if err := publications["file"].publish(OS, link); !errors.Is(err, ErrExists) {
		t.Errorf("a file over a dangling link: %v, want ErrExists", err)
	}
	if err := publications["replaced file"].publish(OS, link); err != nil || readFile(t, link) != "new" {
		t.Errorf("a file that replaces a dangling link: %v", err)
	}
	checkAlone(t, dir, "link")
}

// TestWorkingDirectory publishes to ".", beside which the staging directory must be.
func TestWorkingDirectory(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a working directory cannot be renamed")
	}
	dir, final := outputDir(t, tree{})
	t.Chdir(final)
	p := publications["empty directory"]
	if err := p.publish(OS, "."); err != nil {
		t.Fatal(err)
	}
	if got := readTree(t, final); !got.equal(p.want) {
		t.Errorf("published %v", got)
	}
	checkAlone(t, dir, "out")
}

func TestWriteAtConcurrently(t *testing.T) {
	data := noise(1 << 20)
	_, final := outputDir(t, nil)
	s, err := NewStaging(OS, final, SingleFile)
	if err != nil {
		t.Fatal(err)
	}
	f, err := s.Create("out", int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	const step = 10_007
	var g sync.WaitGroup
	for worker := range 8 {
		g.Go(func() {
			for off := worker * step; off < len(data); off += 8 * step {
				if _, err := f.WriteAt(data[off:min(off+step, len(data))], int64(off)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	g.Wait()
	if err := s.Commit(false, nil); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal([]byte(readFile(t, final)), data) {
		t.Error("the file differs from what was written")
	}
}

// TestReservedSize pins that a file has its final size from the start: a full disk
// may show early, and what is never written reads as zero.
func TestReservedSize(t *testing.T) {
	_, final := outputDir(t, nil)
	s, err := NewStaging(OS, final, SingleFile)
	if err != nil {
		t.Fatal(err)
	}
	f, err := s.Create("out", 10)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("abc"), 3); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(false, nil); err != nil {
		t.Fatal(err)
	}
	if got, want := readFile(t, final), "\x00\x00\x00abc\x00\x00\x00\x00"; got != want {
		t.Errorf("the file holds %q, want %q", got, want)
	}
}

// TestDurableBeforeVisible records the order of what reaches the disk.
func TestDurableBeforeVisible(t *testing.T) {
	for name, p := range publications {
		_, final := outputDir(t, p.old)
		stage, parent := StagingPath(final), filepath.Dir(final)
		var done []string
		disk := &errorFS{FS: OS, before: func(op, path string) { done = append(done, op+" "+path) }}
		if err := p.publish(disk, final); err != nil {
			t.Fatal(err)
		}
		visible := slices.IndexFunc(done, func(s string) bool {
			return strings.HasPrefix(s, "rename "+stage) && strings.HasSuffix(s, " to "+final) || strings.HasPrefix(s, "exchange ")
		})
		if visible < 0 {
			t.Fatalf("%s: no rename in %q", name, done)
		}
		before, after := done[:visible], done[visible:]
		for file := range p.fresh {
			for dir := file; dir != "."; dir = filepath.Dir(dir) {
				if want := "sync " + filepath.Join(stage, dir); !slices.Contains(before, want) {
					t.Errorf("%s: no %q before it is visible", name, want)
				}
			}
		}
		if !slices.Contains(before, "sync "+stage) || !slices.Contains(after, "sync "+parent) {
			t.Errorf("%s: the names are not durable: %q", name, done)
		}
		if cleared := slices.Index(after, "remove "+stage+"-old"); cleared >= 0 && !slices.Contains(after[:cleared], "sync "+parent) {
			t.Errorf("%s: the old output is removed before the new one is durable", name)
		}
	}
}

func TestFreeSpace(t *testing.T) {
	dir := t.TempDir()
	if free, ok := FreeSpace(dir); !ok || free <= 0 {
		t.Errorf("FreeSpace = %d, %v", free, ok)
	}
	if _, ok := FreeSpace(filepath.Join(dir, "none")); ok {
		t.Error("there is space in a directory that is not there")
	}
}
