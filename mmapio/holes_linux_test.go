package mmapio

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// holed is a file of 8 MiB with data in its third and last but one.
func holed(t *testing.T) (f *File, content []byte) {
	t.Helper()
	const mib = 1 << 20
	content = make([]byte, 8*mib)
	copy(content[2*mib:], noise(mib))
	copy(content[6*mib:], noise(mib))
	path := filepath.Join(t.TempDir(), "holed")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, at := range []int64{2 * mib, 6 * mib} {
		if _, err := file.WriteAt(content[at:at+mib], at); err != nil {
			t.Fatal(err)
		}
	}
	if err := file.Truncate(8 * mib); err != nil {
		t.Fatal(err)
	}
	if f, err = Open(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if !f.sparse {
		t.Skip("no holes on this file system")
	}
	return f, content
}

func TestViewsOfHoles(t *testing.T) {
	f, content := holed(t)
	for _, r := range []fileRange{{0, 1 << 20}, {5, 10}, {1 << 20, 2 << 20}, {2 << 20, 100}, {3<<20 + 1, 1000}, {7 << 20, 1 << 20}, {0, 8 << 20}} {
		v, err := f.View(r.off, r.n)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(v.Data, content[r.off:r.off+r.n]) {
			t.Errorf("the view of %d bytes at %d differs", r.n, r.off)
		}
		_, lentZeros := v.lender.(nobody)
		if hole := bytes.Equal(v.Data, make([]byte, r.n)); lentZeros != hole {
			t.Errorf("%d bytes at %d: a hole is %v, zeros were lent: %v", r.n, r.off, hole, lentZeros)
		}
		v.Release()
	}
	if err := os.Truncate(f.Path(), 1<<20); err != nil {
		t.Fatal(err)
	}
	var fault *FaultError
	if _, err := f.View(7<<20, 100); !errors.As(err, &fault) {
		t.Errorf("a view beyond the end of a file that shrank: %v", err)
	}
}

func TestCopyKeepsHoles(t *testing.T) {
	f, content := holed(t)
	out, path := create(t, OS, t.TempDir(), int64(len(content)))
	err := out.(Copier).CopyAt(f, 0, int64(len(content)), 0)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(path); !bytes.Equal(got, content) {
		t.Error("the copy differs")
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if blocks := info.Sys().(*syscall.Stat_t).Blocks; !out.(*osFile).behind.works && blocks*512 > 3<<20 {
		t.Errorf("the copy takes %d bytes in memory", blocks*512)
	}
}
