package mmapio

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// isMapped reports whether a file is mapped into this process.
func isMapped(t *testing.T, path string) bool {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Skip(err)
	}
	return strings.Contains(string(maps), path)
}

// TestCopiedMapsNothing reads a file in every way.
func TestCopiedMapsNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "input")
	data := noise(100_000)
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, how := range Readings {
		reading := Mapped
		if how == Copied.String() {
			reading = Copied
		}
		f, err := Open(path, reading)
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 1000)
		if _, err := f.ReadAt(buf, 5000); err != nil || !bytes.Equal(buf, data[5000:6000]) {
			t.Error(err)
		}
		if reading == Copied && isMapped(t, path) {
			t.Errorf("%s: ReadAt maps", how)
		}
		v, err := f.View(10, 50_000)
		if err != nil || !bytes.Equal(v.Data, data[10:50_010]) {
			t.Fatal(err)
		}
		if got := isMapped(t, path); got != (reading == Mapped) {
			t.Errorf("%s: mapped is %v", how, got)
		}
		v.Release()
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestMappingRefused has the system refuse, from the first window on or from the second: the bytes are read
// instead, and the user is told once.
func TestMappingRefused(t *testing.T) {
	Notices()
	for i, errno := range []unix.Errno{unix.ENODEV, unix.EPERM, unix.ENOMEM, unix.EACCES} {
		allowed := i % 2
		marks := []int64{7, windowSize + 77}
		f := sparse(t, 2*windowSize, marks...)
		real := f.maps.mmap
		f.maps.mmap = func(fd int, offset int64, length, prot, flags int) ([]byte, error) {
			if allowed--; allowed < 0 {
				return nil, errno
			}
			return real(fd, offset, length, prot, flags)
		}
		for range 2 {
			for _, off := range marks {
				v, err := f.View(off, 12)
				if err != nil || !bytes.Equal(v.Data, mark(off)) {
					t.Errorf("%v: %q, %v", errno, v.Data, err)
				}
				v.Release()
			}
		}
		if allowed < -1 {
			t.Errorf("%v: asked %d times", errno, -allowed)
		}
		if notes := Notices(); len(notes) != 1 || !strings.Contains(notes[0], f.Path()) || !strings.Contains(notes[0], "read with pread") {
			t.Errorf("%v: notes %q", errno, notes)
		}
	}
}
