package quant

import (
	"encoding/binary"
	"math"

	"weld/format"
)

// zeroCoding is how zero points are made and stored, one for each scale: value = (code − zero point) × scale, and of codes that are
// stored as integers of so many bits with a sign, the least stands for the least value of the block.
type zeroCoding struct {
	bits   int
	dtype  format.DType
	rows   int64       // of the zero points of one matrix
	packed *bitPacking // nil for one integer each; else words down the columns of their grid
}

// factors are what the values of a block are divided by, and what is added then.
type factors struct{ scale, zero float32 }

// extremes are the least and the greatest of some values, which 0 is always among.
type extremes struct{ low, high float32 }

// largest is the largest magnitude.
func (x extremes) largest() float32 { return max(-x.low, x.high) }

// and are the extremes of both.
func (x extremes) and(y extremes) extremes { return extremes{min(x.low, y.low), max(x.high, y.high)} }

// factors store the scale of a block, as compressed-tensors 0.20.1 does (calculate_qparams): codes are spread over the block's values and 0.
func (z *zeroCoding) factors(d format.DType, dst []byte, x extremes) factors {
	least, most := -math.Exp2(float64(z.bits-1)), math.Exp2(float64(z.bits-1))-1
	scale := (x.high - x.low) / float32(most-least)
	if scale == 0 {
		return factors{encodeScale(d, dst, 0, 1), 0}
	}
	read := encodedScale(d, dst, scale)
	if read == 0 { // too small for the type
		read = encodeScale(d, dst, scale, 1)
	}
	zero := float32(least) - x.low/read
	return factors{read, float32(math.RoundToEven(min(max(float64(zero), least), most)))}
}

// unit is how many rows of zero points end with a word.
func (z *zeroCoding) unit() int64 {
	switch {
	case z.packed == nil:
		return 1
	case z.packed.whole:
		return int64(32 / z.bits)
	}
	n := int64(1)
	for n*int64(z.bits)%32 != 0 {
		n++
	}
	return n
}

// stored are the bytes of the zero points of rows [top, bottom) of them, counted over all matrices, in a grid of some columns. Rows begin
// with a unit.
func (z *zeroCoding) stored(top, bottom, cols int64) (off, n int64) {
	if z.packed == nil {
		size := int64(z.dtype.Bits() / 8)
		return top * cols * size, (bottom - top) * cols * size
	}
	begin := top/z.rows*z.packed.words(z.rows) + z.packed.bit(top%z.rows)/32
	return begin * cols * 4, z.packed.words(bottom-top) * cols * 4
}

// put stores a zero point, whose row is counted from the first of dst.
func (z *zeroCoding) put(dst []byte, row, col, cols int64, zero float32) {
	if z.packed == nil {
		switch at := row*cols + col; z.dtype {
		case format.I8:
			dst[at] = byte(int8(zero))
		case format.I16:
			binary.LittleEndian.PutUint16(dst[2*at:], uint16(int16(zero)))
		case format.I32:
			binary.LittleEndian.PutUint32(dst[4*at:], uint32(int32(zero)))
		}
		return
	}
	code := uint64(int64(zero) + 1<<(z.bits-1))
	bit := z.packed.bit(row)
	at, shift := 4*(bit/32*cols+col), bit%32
	mask := uint64(1)<<z.bits - 1
	setWord(dst[at:], mask<<shift, code<<shift)
	if int(shift)+z.bits > 32 {
		setWord(dst[at+4*cols:], mask<<shift>>32, code<<shift>>32)
	}
}

// setWord stores some bits of a word of 32.
func setWord(dst []byte, mask, bits uint64) {
	binary.LittleEndian.PutUint32(dst, binary.LittleEndian.Uint32(dst)&^uint32(mask)|uint32(bits))
}
