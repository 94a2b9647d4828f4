package mmapio

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Holes of a file read as zeros. Reading them through the page cache would make a page of
// zeros for each of theirs; a view of a hole is lent from one range of zeros instead.

// hasHoles reports whether a file takes less space than it is long.
func hasHoles(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Blocks*512 < st.Size
}

// data finds the first run of data in [off, off+n): where it begins, and its length
// inside; off+n and 0 where there is nothing but a hole.
func (f *File) data(off, n int64) (begin, length int64, err error) {
	if !f.sparse {
		return off, n, nil
	}
	end := off + n
	fd := int(f.reads.file.Fd())
	switch begin, err = unix.Seek(fd, off, unix.SEEK_DATA); {
	case errors.Is(err, unix.ENXIO), err == nil && begin >= end:
		return end, 0, nil
	case errors.Is(err, unix.EINVAL): // a file system that does not know
		return off, n, nil
	case err != nil:
		return 0, 0, fmt.Errorf("%s: look for data from byte %d: %w", f.path, off, err)
	}
	hole, err := unix.Seek(fd, begin, unix.SEEK_HOLE)
	if err != nil {
		return begin, end - begin, nil
	}
	return begin, min(hole, end) - begin, nil
}

// zeroPages is a range of memory that reads as zeros and takes none.
var zeroPages = sync.OnceValues(func() ([]byte, error) {
	return unix.Mmap(-1, 0, MaxView, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
})

// hole lends zeros, if the range is a hole.
func (f *File) hole(off, n int64) (v View, ok bool) {
	if !f.sparse {
		return View{}, false
	}
	if begin, length, err := f.data(off, n); err != nil || length > 0 || begin < off+n {
		return View{}, false
	}
	if now, err := f.reads.file.Stat(); err != nil || now.Size() < off+n {
		return View{}, false // not a hole: the end
	}
	zeros, err := zeroPages()
	if err != nil {
		return View{}, false
	}
	return Lend(zeros[:n:n], nobody{}, off), true
}

// nobody is the [Lender] of what is always there.
type nobody struct{}

// TakeBack implements [Lender].
func (nobody) TakeBack([]byte, int64) {}
