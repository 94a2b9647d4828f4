package mmapio

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

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

func TestFreeSpace(t *testing.T) {
	dir := t.TempDir()
	if free, ok := FreeSpace(dir); !ok || free <= 0 {
		t.Errorf("FreeSpace = %d, %v", free, ok)
	}
	if _, ok := FreeSpace(filepath.Join(dir, "none")); ok {
		t.Error("there is space in a directory that is not there")
	}
}
