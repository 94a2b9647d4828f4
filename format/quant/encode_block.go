package quant

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"weld/format"
	"weld/internal/vec"
)

// of implements [encoder]. Blocks of few rows make a stripe together.
func (d *blockDecoder) of() (g blockGrid, rows int64) {
	block := d.scales.block
	if block.slices > 1 || largestCode(d.dtype) == 0 {
		return d.blockGrid, 0
	}
	return d.blockGrid, block.rows * max(1, pieceElements/max(1, block.rows*d.cols))
}

// scaled implements [encoder].
func (d *blockDecoder) scaled() int { return d.scales.tensor }

// encode implements [encoder]: a block's scale is its largest magnitude over that of the codes' type, and each code is the
// quotient, rounded to the nearest, ties to even.
func (d *blockDecoder) encode(from codeLender, s *stripe, slice, top int64) error {
	rows, high := int64(len(s.values))/d.cols, d.scales.block.rows
	size := int64(d.scales.dtype.Bits() / 8)
	first, last := top/high, (top+rows-1)/high
	s.scalesAt = (slice*d.scales.rows + first) * d.scales.cols * size
	s.scales = slices.Grow(s.scales[:0], int((last-first+1)*d.scales.cols*size))[:(last-first+1)*d.scales.cols*size]
	s.codes = s.codes[:len(s.values)]
	for at := top; at < top+rows; at += high {
		n := min(high, top+rows-at) * d.cols
		begin, k := (at-top)*d.cols, (at/high-first)*d.scales.cols*size
		b := band{d, s.values[begin : begin+n], s.codes[begin : begin+n], s.scales[k : k+d.scales.cols*size]}
		if err := b.encode(from, s.row[:d.cols], slice, at); err != nil {
			return err
		}
	}
	return nil
}

// band is a row of blocks, codes of one byte.
type band struct {
	*blockDecoder
	values []float32
	codes  []byte
	scales []byte
}

// encode stores the blocks of a band, which begins at a row of a matrix; room is one row.
func (b *band) encode(from codeLender, room []float32, slice, top int64) error {
	same, any, err := b.unchanged(from, room, (slice*b.rows+top)*b.cols)
	if err != nil {
		return err
	}
	for k, keep := range same {
		if keep {
			continue
		}
		if err := b.block(int64(k)); err != nil {
			return err
		}
	}
	if !any {
		return nil
	}
	return b.keep(from, same, slice, top)
}

// columns are those of a block.
func (b *band) columns(k int64) (lo, hi int64) {
	wide := b.blockDecoder.scales.block.cols
	return k * wide, min((k+1)*wide, b.cols)
}

// unchanged finds the blocks whose values are those of the reference, which has the band from an element on; any says that
// there is one. Where a merge changes values, the first row says so.
func (b *band) unchanged(from codeLender, room []float32, begin int64) (same []bool, any bool, err error) {
	same, any = make([]bool, b.blockDecoder.scales.cols), true
	for k := range same {
		same[k] = true
	}
	for row := int64(0); row*b.cols < int64(len(b.values)) && any; row++ {
		if err := b.decode(from, room, begin+row*b.cols); err != nil {
			return nil, false, err
		}
		any = false
		for k := range same {
			if same[k] {
				lo, hi := b.columns(int64(k))
				same[k] = sameValues(b.values[row*b.cols+lo:row*b.cols+hi], room[lo:hi])
				any = any || same[k]
			}
		}
	}
	return same, any, nil
}

// sameValues reports whether two rows have the same values: zeros of either sign are one, as sums with nothing make of −0 a 0.
func sameValues(a, b []float32) bool {
	if vec.EqualBits(a, b) {
		return true
	}
	for i, x := range a {
		if y := b[i]; x != y && math.Float32bits(x) != math.Float32bits(y) {
			return false
		}
	}
	return true
}

// block stores one block. It changes its values.
func (b *band) block(k int64) error {
	lo, hi := b.columns(k)
	largest := float32(0)
	for row := lo; row < int64(len(b.values)); row += b.cols {
		values := b.values[row : row+hi-lo]
		largest = max(largest, largestFinite(values))
	}
	size := b.blockDecoder.scales.dtype.Bits() / 8
	scale := encodeScale(b.blockDecoder.scales.dtype, b.scales[int(k)*size:][:size], largest, largestCode(b.dtype))
	if math.IsInf(float64(scale), 1) {
		return tooLarge(b.blockDecoder.scales.dtype, largest)
	}
	for row := lo; row < int64(len(b.values)); row += b.cols {
		values := b.values[row : row+hi-lo]
		vec.Div(values, values, scale)
		format.Encode(b.dtype, b.codes[row:row+hi-lo], values)
	}
	return nil
}

// tooLarge is the error for a block whose scale is beyond its type.
func tooLarge(scales format.DType, largest float32) error {
	return fmt.Errorf("values up to %v have no scale of %v", largest, scales)
}

// keep copies the codes and scales of the blocks that are the reference's.
func (b *band) keep(from codeLender, same []bool, slice, top int64) error {
	err := from.with(b.blockDecoder.codes, (slice*b.rows+top)*b.cols, int64(len(b.codes)), func(data []byte) error {
		for k, keep := range same {
			if !keep {
				continue
			}
			lo, hi := b.columns(int64(k))
			for row := lo; row < int64(len(b.values)); row += b.cols {
				copy(b.codes[row:row+hi-lo], data[row:])
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s := &b.blockDecoder.scales
	size := int64(s.dtype.Bits() / 8)
	return from.with(s.tensor, (slice*s.rows+top/s.block.rows)*s.cols*size, s.cols*size, func(data []byte) error {
		for k, keep := range same {
			if keep {
				copy(b.scales[int64(k)*size:][:size], data[int64(k)*size:])
			}
		}
		return nil
	})
}

// largestCode is the largest value of a type of codes; 0 of one that weld does not write.
func largestCode(d format.DType) float32 {
	switch d {
	case format.F8E4M3:
		return 448
	case format.F8E5M2:
		return 57344
	}
	return 0
}

// largestFinite is the largest magnitude that is finite.
func largestFinite(x []float32) float32 {
	largest := max(vec.Max(x), -vec.Min(x))
	if largest <= math.MaxFloat32 {
		return max(largest, 0)
	}
	largest = 0
	for _, v := range x {
		if v = max(v, -v); v <= math.MaxFloat32 {
			largest = max(largest, v)
		}
	}
	return largest
}

// smallestNormal is the smallest float32 that has all of its bits.
const smallestNormal = 0x1p-126

// encodeScale stores the scale of a block, and returns what it is read as: as large as it has to be for the largest magnitude to
// be at most the largest code, once rounded. Of nothing but zeros it is 1.
func encodeScale(d format.DType, dst []byte, largest, code float32) float32 {
	scale := largest / code
	switch {
	case largest == 0:
		scale = 1
	case scale < smallestNormal && scale*code < largest: // few bits are left, and it was rounded down
		scale = math.Float32frombits(math.Float32bits(scale) + 1)
	}
	if d == format.F8E8M0 {
		dst[0] = powerAtLeast(scale)
		return powerOfTwo(dst[0])
	}
	format.Encode(d, dst, []float32{scale})
	var read [1]float32
	if format.Decode(d, read[:], dst); read[0] < scale { // the next one up: its bits count on
		switch d {
		case format.F32:
		default:
			binary.LittleEndian.PutUint16(dst, binary.LittleEndian.Uint16(dst)+1)
			format.Decode(d, read[:], dst)
		}
	}
	return read[0]
}

// powerAtLeast is the code of the smallest power of two that is at least x > 0; see [powerOfTwo].
func powerAtLeast(x float32) byte {
	fraction, exponent := math.Frexp(float64(x)) // fraction in [1/2, 1)
	if fraction == 0.5 {
		exponent--
	}
	return byte(min(max(exponent+127, 0), 254))
}
