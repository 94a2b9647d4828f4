package llamacpp

import "weld/format"

// A rotation turns pairs of rows of a head. The Hub has the first rows of all pairs before the second ones; llama.cpp, for llama and what
// it calls so, pair after pair. Row i of pair k is i·n/2 + k in the Hub, and 2k + i in GGUF, of n rows of a head.

// order is another order of rows within each head; the zero value leaves them as they are.
type order struct {
	head  int64 // rows of a head; even
	toHub bool  // is shown in the Hub's order, and stored in that of GGUF; else the other way round
}

// stored is the row that is shown as another one.
func (o order) stored(row int64) int64 {
	if o.head == 0 {
		return row
	}
	first, at := row-row%o.head, row%o.head
	if half := o.head / 2; o.toHub {
		return first + at%half*2 + at/half
	} else {
		return first + at%2*half + at/2
	}
}

// batchBytes is how much of stored rows is looked at at a time, where rows are short.
const batchBytes = 64 << 10

// reordered fills dst with bytes [off, off+len(dst)) of a tensor whose rows, of rowBytes, are reordered.
func (o order) reordered(dst []byte, off, rowBytes int64, with func(off, n int64, use func(data []byte)) error) error {
	for len(dst) > 0 {
		row := off / rowBytes
		// whole heads of short rows at once, else what is left of a row
		if heads := min(int64(len(dst)), batchBytes) / (o.head * rowBytes); off%rowBytes == 0 && row%o.head == 0 && heads > 0 {
			n := heads * o.head * rowBytes
			err := with(off, n, func(data []byte) {
				for r := range heads * o.head {
					copy(dst[r*rowBytes:][:rowBytes], data[o.stored(r)*rowBytes:])
				}
			})
			if err != nil {
				return err
			}
			dst, off = dst[n:], off+n
			continue
		}
		skip := off - row*rowBytes
		n := min(int64(len(dst)), rowBytes-skip)
		if err := with(o.stored(row)*rowBytes+skip, n, func(data []byte) { copy(dst, data) }); err != nil {
			return err
		}
		dst, off = dst[n:], off+n
	}
	return nil
}

// around are the bytes of whole heads that a range has a part in.
func (o order) around(off, n, rowBytes int64) (from, size int64) {
	whole := o.head * rowBytes
	from = off / whole * whole
	return from, (off+n+whole-1)/whole*whole - from
}

// rowElements are those of a row of a matrix, or of one of a vector.
func rowElements(t format.Tensor) int64 {
	if len(t.Shape) < 2 {
		return 1
	}
	return t.Shape[len(t.Shape)-1]
}
