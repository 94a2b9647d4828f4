package mmapio

import "math/bits"

// Buffers are what ranges are lent in that nothing holds as they are wanted: those that are read, gathered or
// computed. They are kept by the power of two that they hold. The zero value is ready for use.
type Buffers struct {
	idle [bits.UintSize]Spare[buffer]
}

// Lend lends bytes [off, off+n) of elements of so many bytes: fill has all elements that have a part in them put into data, from the first on.
func (b *Buffers) Lend(off, n, width int64, fill func(data []byte, first int64) error) (View, error) {
	if n == 0 {
		return View{}, nil
	}
	first, end := off/width, (off+n+width-1)/width
	buf := b.borrow((end - first) * width)
	if err := fill(buf.data, first); err != nil {
		buf.TakeBack(nil, 0)
		return View{}, err
	}
	begin := off - first*width
	return Lend(buf.data[begin:begin+n:begin+n], buf, 0), nil
}

// borrow finds or makes a buffer of n bytes, n ≥ 1.
func (b *Buffers) borrow(n int64) *buffer {
	home := &b.idle[bits.Len64(uint64(n-1))]
	if found := home.Get(); found != nil && int64(cap(found.data)) >= n {
		found.data = found.data[:n]
		return found
	}
	return &buffer{make([]byte, n), home}
}

// buffer is the [Lender] of itself, whichever part of it is lent.
type buffer struct {
	data []byte
	home *Spare[buffer]
}

// TakeBack implements [Lender].
func (b *buffer) TakeBack(_ []byte, _ int64) { b.home.Put(b, int64(cap(b.data))) }
