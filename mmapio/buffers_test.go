package mmapio

import (
	"bytes"
	"errors"
	"testing"
)

// Elements that bytes have a part in are filled whole, and no others; what is lent are the bytes.
func TestBuffersLend(t *testing.T) {
	whole := make([]byte, 60)
	for i := range whole {
		whole[i] = byte(i)
	}
	var b Buffers
	for width := int64(1); width <= 5; width++ {
		for off := range int64(12) {
			for n := int64(0); off+n <= 20; n++ {
				filled := false
				v, err := b.Lend(off, n, width, func(data []byte, first int64) error {
					filled = true
					if at := first * width; at > off || off-at >= width || at+int64(len(data))-(off+n) >= width || int64(len(data))%width != 0 {
						t.Errorf("%d elements of %d bytes from %d on are filled, for %d bytes from %d on", int64(len(data))/width, width, first, n, off)
					}
					copy(data, whole[first*width:])
					return nil
				})
				if err != nil || !bytes.Equal(v.Data, whole[off:off+n]) || int64(cap(v.Data)) != n {
					t.Fatalf("%d bytes from %d on, of elements of %d: %d, %v", n, off, width, v.Data, err)
				}
				if filled != (n > 0) {
					t.Errorf("filled for %d bytes: %v", n, filled)
				}
				v.Release()
			}
		}
	}
}

// A buffer that could not be filled is there for the next.
func TestBuffersUnfilled(t *testing.T) {
	var b Buffers
	var first, second *byte
	fault := errors.New("fault")
	if v, err := b.Lend(0, 8, 1, func(data []byte, _ int64) error { first = &data[0]; return fault }); err != fault || v.Data != nil {
		t.Error(v, err)
	}
	if _, err := b.Lend(0, 7, 1, func(data []byte, _ int64) error { second = &data[0]; return nil }); err != nil || first != second {
		t.Errorf("%v: another buffer was made", err)
	}
}

// Buffers are kept by size: a small one that comes back is not given where a large one is wanted, nor in its place.
func TestBuffersOfSizes(t *testing.T) {
	var b Buffers
	lend := func(n int64) *byte {
		v, err := b.Lend(0, n, 1, func([]byte, int64) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		defer v.Release()
		return &v.Data[0]
	}
	large, small := lend(1000), lend(10)
	if small == large || lend(1000) != large || lend(10) != small || lend(9) != small || lend(513) != large {
		t.Error("another buffer was made, or one of another size was lent")
	}
}
