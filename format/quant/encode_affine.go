package quant

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"weld/format"
)

// of implements [encoder]: of codes with scales alone, each of a part of one row.
func (d *affine) of() (g blockGrid, rows int64) {
	if d.zeros != nil || d.groups != nil || d.scales == nil || d.scales.global >= 0 || d.scales.block.slices > 1 || d.scales.block.rows != 1 || d.codeTable() == nil {
		return d.blockGrid, 0
	}
	return d.blockGrid, max(1, pieceElements/max(1, d.cols))
}

// scaled implements [encoder].
func (d *affine) scaled() int { return d.scales.tensor }

// encode implements [encoder], row by row.
func (d *affine) encode(from codeLender, s *stripe, slice, top int64) error {
	table, first := d.codeTable(), (slice*d.rows+top)*d.cols
	rows, size := int64(len(s.values))/d.cols, int64(d.scales.dtype.Bits()/8)
	_, bytes := d.stored(first, first+int64(len(s.values)))
	s.scalesAt = (slice*d.scales.rows + top) * d.scales.cols * size
	s.scales = slices.Grow(s.scales[:0], int(rows*d.scales.cols*size))[:rows*d.scales.cols*size]
	s.codes = slices.Grow(s.codes[:0], int(bytes))[:bytes]
	clear(s.codes)
	err := from.with(d.scales.tensor, s.scalesAt, int64(len(s.scales)), func(data []byte) error { copy(s.scales, data); return nil })
	for row := int64(0); row < rows && err == nil; row++ {
		r := codedRow{affine: d, table: table, values: s.values[row*d.cols:][:d.cols], scales: s.scales[row*d.scales.cols*size:][:d.scales.cols*size]}
		begin, _ := d.stored(first+row*d.cols, first+row*d.cols+1)
		origin, _ := d.stored(first, first+1)
		r.codes = s.codes[begin-origin:]
		err = r.encode(from, s.row[:d.cols], first+row*d.cols)
	}
	return err
}

// codedRow is a row, whose scales are the reference's at first.
type codedRow struct {
	*affine
	table  *codeTable
	values []float32
	scales []byte
	codes  []byte
}

// encode stores the row, whose elements begin with one of the reference. Blocks whose values are the reference's keep its scale, by
// which they have its codes; others are stored by a scale of their own.
func (r *codedRow) encode(from codeLender, room []float32, first int64) error {
	if err := r.decode(from, room, first); err != nil {
		return err
	}
	wide, size := r.affine.scales.block.cols, r.affine.scales.dtype.Bits()/8
	for k, lo := int64(0), int64(0); lo < r.cols; k, lo = k+1, lo+wide {
		hi := min(lo+wide, r.cols)
		block, stored := r.values[lo:hi], r.scales[k*int64(size):][:size]
		var scale [1]float32
		decodeScales(r.affine.scales.dtype, scale[:], stored)
		if sameValues(block, room[lo:hi]) && scale[0] != 0 && scale[0]-scale[0] == 0 {
			block = room[lo:hi] // of zeros, the signs
		} else {
			largest := largestFinite(block)
			if scale[0] = r.table.scale(r.affine.scales.dtype, stored, largest); math.IsInf(float64(scale[0]), 1) {
				return tooLarge(r.affine.scales.dtype, largest)
			}
		}
		for i, x := range block {
			code, ok := r.table.nearest(x / scale[0])
			if !ok {
				return fmt.Errorf("element %d is %v, for which there is no code", first+lo+int64(i), x)
			}
			r.put(lo+int64(i), code)
		}
	}
	return nil
}

// put stores the code of a column.
func (r *codedRow) put(col int64, code uint32) {
	c, packed := r.codeReader.(*bitCodes)
	if !packed {
		r.codes[col] = byte(code)
		return
	}
	bit := c.bit(col)
	at, shift := bit/8, bit%8
	r.codes[at] |= byte(code << shift)
	if int(shift)+c.bits > 8 {
		r.codes[at+1] |= byte(code >> (8 - shift))
	}
}

// codeTable are the values that codes stand for, in their order.
type codeTable struct {
	values []float32 // of floats, those that are not negative
	codes  []uint32
	sign   uint32 // the bit of floats that is their sign; 0 of integers
	bits   int
}

// codeTable is nil where the codes are none that weld writes.
func (d *affine) codeTable() *codeTable {
	switch c := d.codeReader.(type) {
	case *bitCodes:
		t := &codeTable{bits: c.bits}
		if half := 1 << (c.bits - 1); math.Signbit(float64(c.values[half])) && c.values[half] == 0 { // floats
			t.sign, t.values = uint32(half), c.values[:half]
		} else {
			t.values = c.values
		}
		for code := range t.values {
			t.codes = append(t.codes, uint32(code))
		}
		return t
	case wholeCodes:
		if c.dtype != format.I8 {
			return nil
		}
		t := &codeTable{bits: 8}
		for x := -128; x < 128; x++ {
			t.values, t.codes = append(t.values, float32(x)), append(t.codes, uint32(uint8(int8(x))))
		}
		return t
	}
	return nil
}

// nearest is the code whose value is nearest to x, of two that are as near the even one; false for NaN. What is beyond the largest value has
// its code.
func (t *codeTable) nearest(x float32) (code uint32, ok bool) {
	if x != x {
		return 0, false
	}
	sign := uint32(0)
	if t.sign != 0 {
		if math.Signbit(float64(x)) {
			sign, x = t.sign, -x
		}
	}
	up := sort.Search(len(t.values), func(i int) bool { return t.values[i] >= x })
	switch {
	case up == len(t.values):
		up--
	case up > 0:
		over, under := float64(t.values[up])-float64(x), float64(x)-float64(t.values[up-1])
		if under < over || under == over && t.codes[up]%2 == 1 {
			up--
		}
	}
	return t.codes[up] | sign, true
}

// scale stores the scale of a block by its largest magnitude, and returns what it is read as. Integers are spread over the whole range of
// their codes, 2^bits − 1 steps from −largest to largest. A power of two is that by which the largest magnitude, rounded to the mantissa of
// the codes, has their largest exponent (OCP Microscaling Formats 1.0, section 6.3). Both are compressed-tensors' (0.20.1, calculate_qparams,
// round_to_power_2).
func (t *codeTable) scale(d format.DType, dst []byte, largest float32) float32 {
	if largest == 0 {
		return encodeScale(d, dst, 0, 1)
	}
	if d == format.F8E8M0 {
		fraction, exponent := math.Frexp(float64(largest)) // largest in [2^(exponent−1), 2^exponent)
		if finest := t.bits - 3; fraction >= 1-math.Ldexp(1, -finest-2) {
			exponent++ // rounded to the mantissa of the codes, it is the next power of two
		}
		_, of := math.Frexp(float64(t.values[len(t.values)-1]))
		dst[0] = byte(min(max(exponent-of+127, 0), 254))
		return powerOfTwo(dst[0])
	}
	steps := float32(int(1)<<t.bits-1) / 2
	if t.sign != 0 {
		steps = t.values[len(t.values)-1]
	}
	scale := largest / steps
	var read [1]float32
	format.Encode(d, dst, []float32{scale})
	if format.Decode(d, read[:], dst); read[0] == 0 { // too small for the type
		return encodeScale(d, dst, scale, 1)
	}
	return read[0]
}
