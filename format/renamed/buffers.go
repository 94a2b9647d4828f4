package renamed

import (
	"math/bits"
	"sync"
)

// buffers are what gathered ranges are lent in, by the power of two that they hold.
type buffers struct {
	idle [bits.UintSize]sync.Pool
}

// buffer is the lender of itself.
type buffer struct {
	data []byte
	home *sync.Pool
}

// borrow finds or makes a buffer of n bytes, n ≥ 1.
func (b *buffers) borrow(n int64) *buffer {
	home := &b.idle[bits.Len64(uint64(n-1))]
	if found, ok := home.Get().(*buffer); ok && int64(cap(found.data)) >= n {
		found.data = found.data[:n]
		return found
	}
	return &buffer{make([]byte, n), home}
}

// TakeBack implements [weld/mmapio.Lender].
func (b *buffer) TakeBack(_ []byte, _ int64) { b.home.Put(b) }
