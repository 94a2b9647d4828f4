package mmapio

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A file that grows has space set aside for what is to come, and none is left when it is complete.
func TestSetAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	o := newOSFile(f, false)
	defer o.Close()
	if !o.behind.works || unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, 1<<20) != nil {
		t.Skip("no space can be set aside here")
	}
	if err := f.Truncate(0); err != nil {
		t.Fatal(err)
	}
	space := func() (size, taken int64) {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size(), 512 * info.Sys().(*syscall.Stat_t).Blocks
	}
	piece := make([]byte, 5<<20)
	for i := range piece {
		piece[i] = byte(i%251 + 1)
	}
	const pieces = 9
	for i := range pieces {
		if _, err := o.Write(piece); err != nil {
			t.Fatal(err)
		}
		if _, taken := space(); i == 2 && taken > writeBehind {
			t.Errorf("a file of %d bytes takes %d", (i+1)*len(piece), taken)
		}
	}
	if size, taken := space(); size != pieces*int64(len(piece)) || taken < size+asideBytes/2 {
		t.Errorf("a file of %d bytes takes %d: nothing was set aside", size, taken)
	}
	if err := o.Sync(); err != nil {
		t.Fatal(err)
	}
	if size, taken := space(); size != pieces*int64(len(piece)) || taken > size+1<<20 {
		t.Errorf("complete, a file of %d bytes takes %d", size, taken)
	}
}
