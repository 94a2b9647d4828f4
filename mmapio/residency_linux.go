package mmapio

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Resident is how many bytes of a file the page cache holds, to the page; ok is false where the system does not say. To those who
// may not write to a file, Linux says that it is there whole.
func Resident(path string) (bytes int64, ok bool) {
	f, info, err := OpenRegular(path)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	const window = 1 << 30
	for off := int64(0); off < info.Size(); off += window {
		n, err := residentIn(int(f.Fd()), off, min(window, info.Size()-off))
		if err != nil {
			return 0, false
		}
		bytes += n
	}
	return bytes, true
}

// residentIn counts within a range that begins with a page. Looking at a mapping does not read it.
func residentIn(fd int, off, n int64) (bytes int64, err error) {
	data, err := unix.Mmap(fd, off, int(n), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return 0, err
	}
	defer unix.Munmap(data)
	page := int64(unix.Getpagesize())
	pages := make([]byte, (n+page-1)/page)
	if err := mincore(data, pages); err != nil {
		return 0, err
	}
	for i, p := range pages {
		if p&1 != 0 {
			bytes += min(page, n-int64(i)*page)
		}
	}
	return bytes, nil
}

// mincore is the system call, which x/sys lacks on Linux.
func mincore(data, pages []byte) error {
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&data[0])), uintptr(len(data)), uintptr(unsafe.Pointer(&pages[0])))
	if errno != 0 {
		return errno
	}
	return nil
}
