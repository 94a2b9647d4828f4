package mmapio

import (
	"math/bits"
	"os"
	"sync"
	"sync/atomic"
)

// copies lends views of one file as buffers that are read into.
type copies struct {
	only atomic.Bool // there are no other views
	file *os.File
}

func (c *copies) close() error { return c.file.Close() }

// view reads a range into a buffer.
func (c *copies) view(f *File, off, n int64) (View, error) {
	buf := borrowBuffer(n)
	if got, err := c.file.ReadAt(buf, off); int64(got) < n {
		buffers{}.TakeBack(buf, off)
		return View{}, f.fault(off+int64(got), err)
	}
	return Lend(buf, buffers{}, off), nil
}

// idleBuffers are buffers that are not lent, by the power of two that they hold.
var idleBuffers [bits.UintSize]sync.Pool

// borrowBuffer finds or makes a buffer.
func borrowBuffer(n int64) []byte {
	class := bits.Len64(uint64(n - 1))
	if buf, ok := idleBuffers[class].Get().(*[]byte); ok && int64(cap(*buf)) >= n {
		return (*buf)[:n]
	}
	return make([]byte, n)
}

// buffers is the [Lender] of borrowed buffers.
type buffers struct{}

// TakeBack implements [Lender].
func (buffers) TakeBack(data []byte, _ int64) {
	idleBuffers[bits.Len64(uint64(len(data)-1))].Put(&data)
}
