package mmapio

import (
	"os"
	"sync/atomic"
)

// copied are the buffers of all files.
var copied Buffers

// copies lends views of one file as buffers that are read into.
type copies struct {
	only atomic.Bool // there are no other views
	file *os.File
}

func (c *copies) close() error { return c.file.Close() }

// view reads a range into a buffer.
func (c *copies) view(f *File, off, n int64) (View, error) {
	buf := copied.Borrow(n)
	if got, err := c.file.ReadAt(buf.Data, off); int64(got) < n {
		buf.TakeBack(nil, 0)
		return View{}, f.fault(off+int64(got), err)
	}
	return Lend(buf.Data, buf, off), nil
}
