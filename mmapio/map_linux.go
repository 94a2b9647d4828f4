package mmapio

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A file is mapped in windows of windowSize bytes, each overlapping the next by
// MaxView, so that every view lies inside one of them. Windows are unmapped when
// they have been left behind: page tables are memory too (2 MiB for each GiB).
const (
	windowSize  = 1 << 30
	idleWindows = 2 // unused windows of one file that stay mapped
)

// mappings lends views of one file.
type mappings struct {
	file   *os.File
	mu     sync.Mutex
	mapped map[int64]*mapping
	idle   []*mapping // least recently used first
}

// mapping is one window.
type mapping struct {
	file  *File
	base  int64 // file offset of data[0]
	data  []byte
	loans int
}

func (m *mappings) open(f *File) error {
	file, err := os.Open(f.path)
	if err != nil {
		return err
	}
	if info, err := file.Stat(); err != nil || !os.SameFile(info, f.info) {
		file.Close()
		return &ChangedError{Path: f.path, What: "to another file of the same name", Err: err}
	}
	m.file = file
	m.mapped = make(map[int64]*mapping)
	return nil
}

func (m *mappings) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var errs []error
	for base, win := range m.mapped {
		errs = append(errs, unix.Munmap(win.data))
		delete(m.mapped, base)
	}
	m.idle = nil
	return errors.Join(append(errs, m.file.Close())...)
}

func (m *mappings) advise(off, n int64) {
	_ = unix.Fadvise(int(m.file.Fd()), off, n, unix.FADV_WILLNEED) // advice may fail
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
	m.mu.Lock()
	defer m.mu.Unlock()
	win := m.mapped[base]
	if win == nil {
		length := min(f.Size()-base, windowSize+MaxView)
		data, err := unix.Mmap(int(m.file.Fd()), base, int(length), unix.PROT_READ, unix.MAP_SHARED)
		if err != nil {
			return nil, fmt.Errorf("map %s: %w", f.path, err)
		}
		win = &mapping{file: f, base: base, data: data}
		m.mapped[base] = win
	}
	if win.loans == 0 {
		m.forgetIdle(win)
	}
	win.loans++
	return win, nil
}

func (m *mappings) forgetIdle(win *mapping) {
	for i, other := range m.idle {
		if other == win {
			m.idle = append(m.idle[:i], m.idle[i+1:]...)
			return
		}
	}
}

// TakeBack implements [Lender]: the pages leave the resident set, and a window
// that was left behind is unmapped.
func (win *mapping) TakeBack(data []byte, off int64) {
	lo, hi := win.pages(off-win.base, off-win.base+int64(len(data)))
	_ = unix.Madvise(win.data[lo:hi], unix.MADV_DONTNEED)

	m := &win.file.maps
	m.mu.Lock()
	defer m.mu.Unlock()
	win.loans--
	if win.loans > 0 {
		return
	}
	m.idle = append(m.idle, win)
	if len(m.idle) > idleWindows {
		old := m.idle[0]
		m.idle = m.idle[1:]
		delete(m.mapped, old.base)
		_ = unix.Munmap(old.data)
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
func (win *mapping) populate(lo, hi int64) error {
	lo, hi = win.pages(lo, hi)
	pages := win.data[lo:hi]
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
	return Guard([]View{Lend(pages, win, win.base+lo)}, func() error { return touch(pages) })
}
