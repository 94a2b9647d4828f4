package mmapio

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A file is mapped in windows of windowSize bytes, each overlapping the next by
// MaxView, so that every view lies inside one of them. Windows are unmapped when
// they have been left behind, because page tables are memory too: 2 MiB for each
// GiB that was touched, and nothing but munmap frees them.
const (
	windowSize  = 256 << 20
	idleWindows = 16 // unused windows of the process that stay mapped
)

// faultAround is how far around a page a fault also maps what is cached, in aligned pieces
// (fault_around_bytes of Linux). Those pages count as resident too, and leave with the view;
// should another view have some of them, they come back at its next touch.
const faultAround = 64 << 10

// windows guards the bookkeeping of all files' windows, since page tables are the
// process's and so is their limit. No system call is made under it but mmap and
// munmap, once for each window.
var windows struct {
	sync.Mutex
	idle []*mapping // not lent, least recently used first
}

// boundsViews says that the memory of mapped views can be bounded.
const boundsViews = true

// canMap reports whether there is room for windows. Where the address space is limited
// (ulimit -v), they would leave none for the heap, whose end is the end of the process.
var canMap = sync.OnceValue(func() bool {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &limit); err != nil || limit.Cur >= enoughAddresses {
		return true
	}
	notice("addresses", "the address space is limited to %d MiB (ulimit -v): inputs are not mapped but read with pread", limit.Cur>>20)
	return false
})

// enoughAddresses is many times what the windows take.
const enoughAddresses = 1 << 38

// mappings lends views of one file.
type mappings struct {
	mapped map[int64]*mapping // by base; guarded by windows
	mmap   func(fd int, offset int64, length, prot, flags int) ([]byte, error)
}

// mapping is one window.
type mapping struct {
	file  *File
	base  int64 // file offset of data[0]
	data  []byte
	loans int
}

func (m *mappings) open(*File) error {
	m.mapped = make(map[int64]*mapping)
	m.mmap = unix.Mmap
	return nil
}

func (m *mappings) close() error {
	windows.Lock()
	defer windows.Unlock()
	var errs []error
	for _, win := range m.mapped {
		forgetIdle(win)
		errs = append(errs, win.unmap())
	}
	return errors.Join(errs...)
}

func (m *mappings) view(f *File, off, n int64) (View, error) {
	win, err := m.borrow(f, off-off%windowSize)
	if err != nil {
		return View{}, err
	}
	lo := off - win.base
	v := Lend(win.data[lo:lo+n:lo+n], win, off)
	if err := win.populate(lo, lo+n); err != nil {
		v.Release()
		return View{}, f.fault(off, err)
	}
	return v, nil
}

// borrow finds or maps the window that starts at base and counts a loan.
func (m *mappings) borrow(f *File, base int64) (*mapping, error) {
	windows.Lock()
	defer windows.Unlock()
	win := m.mapped[base]
	if win == nil {
		length := min(f.Size()-base, windowSize+MaxView)
		data, err := m.mmap(int(f.reads.file.Fd()), base, int(length), unix.PROT_READ, unix.MAP_SHARED)
		if err != nil {
			return nil, &unmappedError{f.path, err}
		}
		_ = unix.Madvise(data, unix.MADV_RANDOM) // see populate
		win = &mapping{file: f, base: base, data: data}
		m.mapped[base] = win
	}
	if win.loans == 0 {
		forgetIdle(win)
	}
	win.loans++
	return win, nil
}

// forgetIdle takes a window off the idle ones.
func forgetIdle(win *mapping) {
	if i := slices.Index(windows.idle, win); i >= 0 {
		windows.idle = slices.Delete(windows.idle, i, i+1)
	}
}

// unmap ends a window that is not lent.
func (win *mapping) unmap() error {
	delete(win.file.maps.mapped, win.base)
	return unix.Munmap(win.data)
}

// TakeBack implements [Lender]: the pages leave the resident set, and the window that
// was left behind longest is unmapped.
func (win *mapping) TakeBack(data []byte, off int64) {
	lo := (off - win.base) &^ (faultAround - 1)
	hi := min((off-win.base+int64(len(data))+faultAround-1)&^(faultAround-1), int64(len(win.data)))
	_ = unix.Madvise(win.data[lo:hi], unix.MADV_DONTNEED)

	windows.Lock()
	defer windows.Unlock()
	if win.loans--; win.loans > 0 {
		return
	}
	windows.idle = append(windows.idle, win)
	if len(windows.idle) > idleWindows {
		oldest := windows.idle[0]
		windows.idle = slices.Delete(windows.idle, 0, 1)
		_ = oldest.unmap() // fails only for what is no mapping
	}
}

// pages widens a byte range of the window to whole pages.
func (win *mapping) pages(lo, hi int64) (int64, int64) {
	return lo &^ (pageSize - 1), min((hi+pageSize-1)&^(pageSize-1), int64(len(win.data)))
}

// noPopulate is set when the kernel turns out to be older than
// MADV_POPULATE_READ (Linux 5.14).
var noPopulate atomic.Bool

// populate makes a range resident: unreadable pages are an error here, not a
// signal later.
//
// What the page cache lacks is read here, the range and nothing beside it. Left to itself, the system reads at a fault
// as much before the page as behind it, what was dropped a moment ago included, and on from there whatever is next in the
// file; of a small page cache that pushes out what was announced. So windows are MADV_RANDOM, which also
// keeps pages from counting as used twice, and the range is asked for first.
func (win *mapping) populate(lo, hi int64) error {
	from, to := win.pages(lo, hi)
	win.file.reads.advise(Soon, win.base+from, to-from)
	pages := win.data[from:to]
	for !noPopulate.Load() {
		err := unix.Madvise(pages, unix.MADV_POPULATE_READ)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
		case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS):
			noPopulate.Store(true)
		default:
			return fmt.Errorf("the mapped bytes cannot be read: %w", err)
		}
	}
	data := win.data[lo:hi]
	return Guard([]View{Lend(data, win, win.base+lo)}, func() error { return touch(data) })
}
