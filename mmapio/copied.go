package mmapio

import (
	"os"
	"sync"
	"sync/atomic"
)

// copied are the buffers of all files.
var copied Buffers

// copies lends views of one file as buffers that are read into.
type copies struct {
	only atomic.Bool // there are no other views
	file *os.File

	device func() int64 // readAheadStep of it, looked up once
	done   dones
}

func (c *copies) open(file *os.File) {
	c.file = file
	c.device = sync.OnceValue(func() int64 { return readAheadStep(file) })
}

func (c *copies) close() error { return c.file.Close() }

// view reads a range into a buffer.
func (c *copies) view(f *File, off, n int64) (View, error) {
	return copied.Lend(off, n, 1, func(data []byte, off int64) error {
		if got, err := c.file.ReadAt(data, off); got < len(data) {
			return f.fault(off+int64(got), err)
		}
		return nil
	})
}
