//go:build !linux

package mmapio

import "sync"

// mappings lends views of one file as filled buffers: the portable form, for
// systems without the calls that bound what a mapping keeps resident.
type mappings struct{ lender *mapping }

// mapping is the lender of one file's buffers.
type mapping struct{ file *File }

var buffers sync.Pool

func (m *mappings) open(f *File) error { m.lender = &mapping{f}; return nil }
func (m *mappings) close() error       { return nil }
func (m *mappings) advise(_, _ int64)  {}

func (m *mappings) view(f *File, off, n int64) (View, error) {
	buf, _ := buffers.Get().(*[]byte)
	if buf == nil || int64(cap(*buf)) < n {
		fresh := make([]byte, n)
		buf = &fresh
	}
	data := (*buf)[:n]
	if got, err := f.ReadAt(data, off); int64(got) < n {
		return View{}, f.fault(off+int64(got), err)
	}
	return Lend(data, m.lender, off), nil
}

// TakeBack implements [Lender].
func (*mapping) TakeBack(data []byte, _ int64) { buffers.Put(&data) }
