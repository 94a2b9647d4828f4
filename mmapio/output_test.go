package mmapio

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// create makes an output of the operating system, n bytes long.
func create(t *testing.T, fs FS, dir string, n int64) (f OutputFile, path string) {
	t.Helper()
	d, err := fs.MakeDir(filepath.Join(dir, "made"))
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "made", "out")
	f, err = d.Create("out")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close(); d.Close() })
	if err := f.Truncate(n); err != nil {
		t.Fatal(err)
	}
	return f, path
}

// What several goroutines write in pieces is what is there, over more than one batch, and
// zeros among it too.
func TestOutputWrites(t *testing.T) {
	for name, fs := range map[string]FS{"keep": OS, "drop": DropBehind} {
		t.Run(name, func(t *testing.T) {
			const size, piece = 3*writeBehind + 12345, 1 << 20
			want := noise(size)
			clear(want[5*piece : 9*piece])
			clear(want[size-100:])
			f, path := create(t, fs, t.TempDir(), size)
			var group sync.WaitGroup
			for worker := range 3 {
				group.Go(func() {
					for off := worker * piece; off < size; off += 3 * piece {
						if _, err := f.WriteAt(want[off:min(off+piece, size)], int64(off)); err != nil {
							t.Error(err)
						}
					}
				})
			}
			group.Wait()
			if err := f.Sync(); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes read back differ from what was written (%v)", len(got), err)
			}
		})
	}
}

// Zeros over bytes that somebody wrote are written.
func TestZerosReplaceWhatAFileThatGrowsHolds(t *testing.T) {
	f, path := create(t, OS, t.TempDir(), 0)
	for _, p := range [][]byte{{1, 2, 3}, {0, 0, 0}} {
		if _, err := f.WriteAt(p, 0); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := os.ReadFile(path); !bytes.Equal(got, []byte{0, 0, 0}) {
		t.Errorf("read back %v", got)
	}
}

func TestCopyAt(t *testing.T) {
	dir := t.TempDir()
	want := noise(300_000)
	path := filepath.Join(dir, "in")
	if err := os.WriteFile(path, want, 0o666); err != nil {
		t.Fatal(err)
	}
	src, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	f, out := create(t, OS, dir, int64(len(want)))
	for _, r := range []fileRange{{0, 1}, {1, 4095}, {4096, 0}, {4096, 100_001}, {104_097, 195_903}} {
		err := f.(Copier).CopyAt(src, r.off, r.n, r.off)
		if errors.Is(err, errors.ErrUnsupported) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := os.ReadFile(out); !bytes.Equal(got, want) {
		t.Error("the copy differs")
	}
	if err := os.Truncate(path, 1000); err != nil {
		t.Fatal(err)
	}
	var fault *FaultError
	if err := f.(Copier).CopyAt(src, 500, 2000, 0); !errors.As(err, &fault) {
		t.Errorf("copying from a file that shrank: %v", err)
	}
}

// What is appended goes to the disk batch by batch, as what is written elsewhere does, and a failure on its
// way stops the writing.
func TestAppendedBytesAreBroughtToTheDisk(t *testing.T) {
	f, _ := create(t, OS, t.TempDir(), 0)
	o := f.(*osFile)
	if !o.behind.works {
		t.Skip("the directory for temporary files is not on a disk")
	}
	for range 2 * writeBehind >> 20 {
		if _, err := f.Write(noise(1 << 20)); err != nil {
			t.Fatal(err)
		}
	}
	if want := (fileRange{writeBehind, writeBehind}); o.last != want {
		t.Errorf("the last batch is %v, want %v", o.last, want)
	}
	lost := errors.New("the disk is gone")
	o.fail(lost)
	if n, err := f.Write([]byte("x")); n != 0 || !errors.Is(err, lost) {
		t.Errorf("%d bytes were written after a failure (%v)", n, err)
	}
	if err := f.Sync(); !errors.Is(err, lost) {
		t.Errorf("the sync after a failure: %v", err)
	}
}
