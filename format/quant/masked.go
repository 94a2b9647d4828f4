package quant

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"weld/format"
)

// maskedCodes are codes of which only some are stored, row by row, one behind the other. A bit of the mask says of each element whether
// it is stored, the lowest bit of a byte first; each row of the mask begins on a byte. Elements that are not stored are zero.
type maskedCodes struct {
	blockGrid
	values  int // tensors
	mask    int
	offsets int // of each row in the values, 64 bits; -1 where every row has as many
	dtype   format.DType
	total   int64 // values
}

// stored implements [codeReader]: about where the values are, since the mask alone knows.
func (c *maskedCodes) stored(lo, hi int64) (off, n int64) {
	size, each := int64(c.dtype.Bits()/8), float64(c.total)/float64(max(1, c.rows*c.cols))
	begin, end := int64(float64(lo)*each), min(c.total, int64(float64(hi)*each))
	return begin * size, max(0, end-begin) * size
}

// numbers implements [codeReader].
func (c *maskedCodes) numbers(from codeLender, dst []float32, lo int64) error {
	stride := (c.cols + 7) / 8
	for len(dst) > 0 {
		row, at := lo/c.cols, lo%c.cols
		n := min(c.cols-at, int64(len(dst)))
		begin, end, err := c.row(from, row)
		if err != nil {
			return err
		}
		if err := from.with(c.mask, row*stride, stride, func(mask []byte) error {
			if all := ones(mask, 0, c.cols); begin < 0 || end > c.total || all != end-begin {
				return fmt.Errorf("row %d has values [%d, %d) of %d, and %d bits in its mask", row, begin, end, c.total, all)
			}
			return c.spread(from, dst[:n], mask, at, begin+ones(mask, 0, at))
		}); err != nil {
			return err
		}
		dst, lo = dst[n:], lo+n
	}
	return nil
}

// row is which values are those of a row.
func (c *maskedCodes) row(from codeLender, row int64) (begin, end int64, err error) {
	if c.offsets < 0 {
		each := c.total / c.rows
		return row * each, (row + 1) * each, nil
	}
	n := min(2, c.rows-row)
	end = c.total
	err = from.with(c.offsets, 8*row, 8*n, func(data []byte) error {
		begin = int64(binary.LittleEndian.Uint64(data))
		if n == 2 {
			end = int64(binary.LittleEndian.Uint64(data[8:]))
		}
		return nil
	})
	return begin, end, err
}

// spread fills a part of a row, which begins at a column, with values from one on.
func (c *maskedCodes) spread(from codeLender, dst []float32, mask []byte, at, first int64) error {
	clear(dst)
	size, n := int64(c.dtype.Bits()/8), ones(mask, at, at+int64(len(dst)))
	if n == 0 {
		return nil
	}
	return from.with(c.values, first*size, n*size, func(data []byte) error {
		values := from.floats(n)
		decodeNumbers(c.dtype, values, data)
		for i := range dst {
			if bit := at + int64(i); mask[bit/8]>>(bit%8)&1 != 0 {
				dst[i], values = values[0], values[1:]
			}
		}
		return nil
	})
}

// ones counts the bits of a mask in [lo, hi).
func ones(mask []byte, lo, hi int64) (n int64) {
	for ; lo < hi && lo%8 != 0; lo++ {
		n += int64(mask[lo/8] >> (lo % 8) & 1)
	}
	for ; lo+8 <= hi; lo += 8 {
		n += int64(bits.OnesCount8(mask[lo/8]))
	}
	for ; lo < hi; lo++ {
		n += int64(mask[lo/8] >> (lo % 8) & 1)
	}
	return n
}
