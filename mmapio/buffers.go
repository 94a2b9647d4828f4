package mmapio

import "math/bits"

// Buffers are what ranges are lent in that nothing holds as they are wanted: those that are read, gathered or
// computed. They are kept by the power of two that they hold. The zero value is ready for use.
type Buffers struct {
	idle [bits.UintSize]Spare[Buffer]
}

// Buffer is the [Lender] of itself, whichever part of it is lent.
type Buffer struct {
	Data []byte
	home *Spare[Buffer]
}

// Borrow finds or makes a buffer of n bytes, n ≥ 1.
func (b *Buffers) Borrow(n int64) *Buffer {
	home := &b.idle[bits.Len64(uint64(n-1))]
	if found := home.Get(); found != nil && int64(cap(found.Data)) >= n {
		found.Data = found.Data[:n]
		return found
	}
	return &Buffer{make([]byte, n), home}
}

// TakeBack implements [Lender].
func (b *Buffer) TakeBack(_ []byte, _ int64) { b.home.Put(b, int64(cap(b.Data))) }
