package quant

import (
	"encoding/binary"
	"fmt"

	"weld/format"
	"weld/internal/vec"
)

// codeReader reads what stands in a weight's place, as numbers. It may be used from several goroutines at once.
type codeReader interface {
	// numbers fills dst with the numbers that the codes of elements from lo on stand for.
	numbers(from codeLender, dst []float32, lo int64) error
	// stored are the bytes that elements [lo, hi) have a part in.
	stored(lo, hi int64) (off, n int64)
}

// affine restores (code − zero) × scale, zero and scale those of the element's block.
type affine struct {
	blockGrid
	codeReader
	zeros  *zeroGrid   // nil for none
	scales *levelGrid  // nil for values that are stored as they are
	groups *groupIndex // nil where blocks are runs of columns
}

// decode implements [pieced].
func (d *affine) decode(from codeLender, dst []float32, lo int64) error {
	if c := d.fused(); c != nil {
		return d.decodeFused(c, from, dst, lo)
	}
	if err := d.numbers(from, dst, lo); err != nil || d.scales == nil {
		return err
	}
	if d.groups == nil {
		return d.restore(from, dst, lo, nil)
	}
	return from.with(d.groups.tensor, 0, 4*d.cols, func(index []byte) error { return d.restore(from, dst, lo, index) })
}

// restore subtracts zeros and multiplies with scales. index has the group of every column, or nothing.
func (d *affine) restore(from codeLender, dst []float32, lo int64, index []byte) error {
	if z := d.zeros; z != nil {
		use := z.subtractRow
		if index != nil {
			use = func(row []float32, at int64, zeros []float32) {
				for i := range row {
					row[i] -= zeros[groupAt(index, at+int64(i))]
				}
			}
		}
		if err := (perBlock{z.blockGrid, z.block, d.blockGrid}).each(from, dst, lo, z.load, use); err != nil {
			return err
		}
	}
	use := d.scales.multiplyRow
	if index != nil {
		use = func(row []float32, at int64, scales []float32) {
			for i := range row {
				row[i] *= scales[groupAt(index, at+int64(i))]
			}
		}
	}
	return perBlock{d.scales.blockGrid, d.scales.block, d.blockGrid}.each(from, dst, lo, d.scales.load, use)
}

// groupAt is the group of a column.
func groupAt(index []byte, col int64) uint32 { return binary.LittleEndian.Uint32(index[4*col:]) }

// levelGrid are scales that one scale of the whole tensor may belong to, or one of each matrix.
type levelGrid struct {
	scaleGrid
	global    int  // the tensor; -1 for none
	perMatrix bool // it has one for each matrix
	divide    bool // by the global scale; else multiply
}

// load decodes scales, and applies the global one to them.
func (s *levelGrid) load(from codeLender, slice, top, bottom int64, dst []float32) error {
	if err := s.scaleGrid.load(from, slice, top, bottom, dst); err != nil || s.global < 0 {
		return err
	}
	var global [1]float32
	at := int64(0)
	if s.perMatrix {
		at = slice * width
	}
	if err := from.with(s.global, at, width, func(data []byte) error { vec.DecodeF32(global[:], data); return nil }); err != nil {
		return err
	}
	if !s.divide {
		vec.Scale(dst, dst, global[0])
		return nil
	}
	vec.Div(dst, dst, global[0])
	return nil
}

// zeroGrid are zero points, each of a block of a tensor: integers, or packed down the columns of their grid.
type zeroGrid struct {
	tensor    int
	dtype     format.DType
	blockGrid // of the zero points
	block     blockGrid
	packed    *bitPacking // nil for one integer each
}

// subtractRow subtracts zero points from a part of a row, which begins at a column.
func (z *zeroGrid) subtractRow(row []float32, at int64, zeros []float32) {
	for len(row) > 0 {
		block := at / z.block.cols
		n := min((block+1)*z.block.cols-at, int64(len(row)))
		zero := zeros[block]
		for i := range row[:n] {
			row[i] -= zero
		}
		row, at = row[n:], at+n
	}
}

// load decodes the zero points of rows [top, bottom) of one matrix of them.
func (z *zeroGrid) load(from codeLender, slice, top, bottom int64, dst []float32) error {
	dst = dst[:(bottom-top)*z.cols]
	if z.packed == nil {
		size := int64(z.dtype.Bits() / 8)
		return from.with(z.tensor, (slice*z.rows+top)*z.cols*size, int64(len(dst))*size, func(data []byte) error {
			decodeIntegers(z.dtype, dst, data)
			return nil
		})
	}
	// Words stand where they belong in a column; row r of the zero points is code r of each column.
	words := z.packed.words(z.rows)
	first, end := z.packed.bit(top)/32, (z.packed.bit(bottom-1)+int64(z.packed.bits)-1)/32+1
	return from.with(z.tensor, (slice*words+first)*z.cols*4, (end-first)*z.cols*4, func(data []byte) error {
		for i := range dst {
			bit := z.packed.bit(top+int64(i)/z.cols) - 32*first
			at := 4 * (bit/32*z.cols + int64(i)%z.cols)
			word := uint64(binary.LittleEndian.Uint32(data[at:]))
			if bit%32+int64(z.packed.bits) > 32 {
				word |= uint64(binary.LittleEndian.Uint32(data[at+4*z.cols:])) << 32
			}
			dst[i] = z.packed.values[word>>(bit%32)&(1<<z.packed.bits-1)]
		}
		return nil
	})
}

// groupIndex says of each column which group it belongs to, as 32-bit integers.
type groupIndex struct{ tensor int }

// checkIndex holds an index to what it is for: every group has as many columns as every other. inOrder is for one that was never
// filled in, all or some of whose entries are −1: groups are runs of columns then.
func checkIndex(from codeLender, tensor int, cols, groups int64) (inOrder bool, err error) {
	counts := make([]int64, groups)
	err = from.with(tensor, 0, 4*cols, func(data []byte) error {
		for c := range cols {
			switch g := int64(int32(binary.LittleEndian.Uint32(data[4*c:]))); {
			case g == -1:
				inOrder = true
			case g < 0 || g >= groups:
				return fmt.Errorf("column %d belongs to group %d of %d", c, g, groups)
			default:
				counts[g]++
			}
		}
		return nil
	})
	for g, n := range counts {
		if err == nil && !inOrder && n != cols/groups {
			err = fmt.Errorf("group %d has %d columns of %d, not one of %d equal parts", g, n, cols, groups)
		}
	}
	return inOrder, err
}

// wholeCodes are codes of a type of their own each: integers, or floats.
type wholeCodes struct {
	tensor int
	dtype  format.DType
	bits   int // that integers have, of those of their type
}

// stored implements [codeReader].
func (c wholeCodes) stored(lo, hi int64) (off, n int64) {
	size := int64(c.dtype.Bits() / 8)
	return lo * size, (hi - lo) * size
}

// numbers implements [codeReader].
func (c wholeCodes) numbers(from codeLender, dst []float32, lo int64) error {
	off, n := c.stored(lo, lo+int64(len(dst)))
	return from.with(c.tensor, off, n, func(data []byte) error {
		decodeNumbers(c.dtype, dst, data)
		return nil
	})
}

// decodeNumbers decodes codes of any type that stands for a number by itself.
func decodeNumbers(d format.DType, dst []float32, src []byte) {
	if d.Computable() {
		format.Decode(d, dst, src)
		return
	}
	decodeIntegers(d, dst, src)
}

// isInteger reports whether [decodeIntegers] knows a type.
func isInteger(d format.DType) bool { return d == format.I8 || d == format.I16 || d == format.I32 }

// decodeIntegers decodes signed integers.
func decodeIntegers(d format.DType, dst []float32, src []byte) {
	switch d {
	case format.I8:
		for i, code := range src[:len(dst)] {
			dst[i] = float32(int8(code))
		}
	case format.I16:
		for i := range dst {
			dst[i] = float32(int16(binary.LittleEndian.Uint16(src[2*i:])))
		}
	case format.I32:
		for i := range dst {
			dst[i] = float32(int32(binary.LittleEndian.Uint32(src[4*i:])))
		}
	}
}
