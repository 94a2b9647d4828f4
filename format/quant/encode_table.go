package quant

import (
	"math"
	"math/bits"
	"slices"
	"sort"

	"weld/format"
	"weld/internal/vec"
)

// coding implements [codable].
func (d *affine) coding() (c coding, of parts, ok bool) {
	var w *tableWriter
	switch r := d.codeReader.(type) {
	case *bitCodes:
		w = &tableWriter{tableOf(r.bitPacking), r.packedRows}
	case wholeCodes:
		if r.dtype == format.I8 && r.bits <= 8 {
			w = signedIntegers(r.bits, d.cols)
		}
	}
	if d.scales == nil || d.scales.swizzled || d.scales.perMatrix || w == nil || w.table == nil {
		return c, of, false
	}
	c = coding{blockGrid: d.blockGrid, block: d.scales.block, scaleType: d.scales.dtype, codes: w}
	of = parts{scales: d.scales.tensor, zeros: -1, global: d.scales.global, groups: -1}
	if of.global >= 0 {
		c.level = &scaleLevel{d.scales.divide}
	}
	if z := d.zeros; z != nil {
		c.zeros, of.zeros = &zeroCoding{w.table.bits, z.dtype, z.rows, z.packed}, z.tensor
	}
	if d.groups != nil {
		of.groups = d.groups.tensor
	}
	return c, of, (c.scaleType == format.F8E4M3) == (c.level != nil)
}

// tableWriter writes codes of a few bits, each the nearest one of a table.
type tableWriter struct {
	table *codeTable
	packedRows
}

// wholeIntegers are of eight bits, with a sign.
func wholeIntegers(cols int64) *tableWriter { return signedIntegers(8, cols) }

// signedIntegers are of some bits, each in a byte.
func signedIntegers(bits int, cols int64) *tableWriter {
	return &tableWriter{&signedTables[bits], packedRows{bitPacking{bits: 8}, cols, cols}}
}

// stored implements [codeWriter]: with what is left of a row behind its last code, which is written, too.
func (w *tableWriter) stored(lo, hi int64) (off, n int64) {
	off, n = w.packedRows.stored(lo, hi)
	if hi > lo && hi%w.cols == 0 {
		n = hi/w.cols*w.stride - off
	}
	return off, n
}

// scale implements [codeWriter].
func (w *tableWriter) scale(d format.DType, dst []byte, largest float32) float32 {
	return w.table.scale(d, dst, largest)
}

// value implements [codeWriter].
func (w *tableWriter) value(x float32) float32 {
	code, _ := w.table.nearest(x)
	value := w.table.values[slices.Index(w.table.codes, code&^w.table.sign)]
	if code&w.table.sign != 0 {
		return -value
	}
	return value
}

// encode implements [codeWriter].
func (w *tableWriter) encode(row []byte, col int64, values []float32) bool {
	for i, x := range values {
		code, ok := w.table.nearest(x)
		if !ok {
			return false
		}
		w.put(row, col+int64(i), code)
	}
	return true
}

// encodeGroups implements [groupWriter], where there is a kernel for the codes and they begin and end with a byte.
func (w *tableWriter) encodeGroups(row []byte, col int64, values, zeros, scales []float32, group int) bool {
	n := len(values)
	whole := w.bits == 8 || w.bits == 4 && col%2 == 0 && n%2 == 0 // both packings lay codes of four bits alike
	if !whole || n == 0 || vec.FirstNonFinite(values, math.MaxFloat32) >= 0 {
		return false
	}
	dst := row[col*int64(w.bits)/8:]
	switch w.table {
	case &tableE2M1:
		return zeros == nil && vec.EncodeE2M1Groups(dst, values, scales, group)
	case &offsetTables[4]:
		return vec.EncodeI4Groups(dst, values, zeros, scales, group)
	case &signedTables[8]:
		return vec.EncodeI8Groups(dst[:n], values, 0, zeros, scales, group)
	case &offsetTables[8]:
		return vec.EncodeI8Groups(dst[:n], values, 0x80, zeros, scales, group)
	}
	return false
}

// put stores the code of a column.
func (w *tableWriter) put(row []byte, col int64, code uint32) {
	bit, mask := w.bit(col), uint32(1)<<w.bits-1
	at, shift := bit/8, bit%8
	row[at] = row[at]&^byte(mask<<shift) | byte(code<<shift)
	if int(shift)+w.bits > 8 {
		row[at+1] = row[at+1]&^byte(mask>>(8-shift)) | byte(code>>(8-shift))
	}
}

// codeTable are the values that codes stand for, in their order.
type codeTable struct {
	values []float32 // of floats, those that are not negative
	codes  []uint32
	sign   uint32 // the bit of floats that is their sign; 0 of integers
	bits   int
}

// The codes that weld writes. All weights share them.
var (
	signedTables = func() (tables [9]codeTable) {
		for bits := range tables {
			tables[bits] = newCodeTable(bits, offsetIntegers[bits])
			for i, x := range tables[bits].values {
				tables[bits].codes[i] = uint32(uint8(int8(x)))
			}
		}
		return tables
	}()
	offsetTables = func() (tables [9]codeTable) {
		for bits := range tables {
			tables[bits] = newCodeTable(bits, offsetIntegers[bits])
		}
		return tables
	}()
	tableE2M1 = newCodeTable(4, valuesE2M1)
	tableE2M3 = newCodeTable(6, valuesE2M3)
)

// newCodeTable makes a table of values by their codes.
func newCodeTable(bits int, values []float32) codeTable {
	t := codeTable{bits: bits, values: values}
	if half := len(values) / 2; half > 0 && values[half] == 0 && math.Signbit(float64(values[half])) { // floats
		t.sign, t.values = uint32(half), values[:half]
	}
	for code := range t.values {
		t.codes = append(t.codes, uint32(code))
	}
	return t
}

// tableOf is the table of packed codes; nil of such as weld does not write.
func tableOf(p bitPacking) *codeTable {
	for _, c := range []struct {
		values []float32
		table  *codeTable
	}{{offsetIntegers[p.bits], &offsetTables[p.bits]}, {valuesE2M1, &tableE2M1}, {valuesE2M3, &tableE2M3}} {
		if slices.Equal(p.values, c.values) {
			return c.table
		}
	}
	return nil
}

// nearest is the code whose value is nearest to x, of two that are as near the even one; false for what is not finite. What is beyond the
// largest value has its code.
func (t *codeTable) nearest(x float32) (code uint32, ok bool) {
	if x-x != 0 {
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
		if under < over || under == over && t.odd(up) {
			up--
		}
	}
	return t.codes[up] | sign, true
}

// odd reports whether a tie goes to the neighbour of a value: of integers, if it is odd; of floats, if its mantissa is.
func (t *codeTable) odd(i int) bool {
	if t.sign == 0 {
		return int(t.values[i])&1 != 0
	}
	return t.codes[i]&1 != 0
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
		dst[0] = t.power(largest)
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

// power is the exponent of the scale that is a power of two; see [powerOfTwo].
func (t *codeTable) power(largest float32) byte {
	exponent, mantissa := exponentOf(largest)
	if finest := t.bits - 3; mantissa >= 1<<23-1<<(22-finest) {
		exponent++ // rounded to the mantissa of the codes, it is the next power of two
	}
	of, _ := exponentOf(t.values[len(t.values)-1])
	return byte(min(max(exponent-of+127, 0), 254))
}

// exponentOf splits x > 0 into a power of two, and what is beyond it, in 2^−23 parts of it.
func exponentOf(x float32) (exponent int, mantissa uint32) {
	b := math.Float32bits(x)
	if b < 1<<23 { // a subnormal
		shift := bits.LeadingZeros32(b) - 8
		return -126 - shift, b << shift & (1<<23 - 1)
	}
	return int(b>>23) - 127, b & (1<<23 - 1)
}
