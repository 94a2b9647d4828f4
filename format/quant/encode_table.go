package quant

import (
	"math"
	"slices"
	"sort"

	"weld/format"
)

// coding implements [codable]: of codes with scales alone, each of a part of one row.
func (d *affine) coding() (c coding, scales int, ok bool) {
	if d.zeros != nil || d.groups != nil || d.scales == nil || d.scales.global >= 0 || d.scales.block.rows != 1 {
		return c, 0, false
	}
	var w *tableWriter
	switch r := d.codeReader.(type) {
	case *bitCodes:
		w = &tableWriter{tableOf(r.bitPacking), r.packedRows}
	case wholeCodes:
		if r.dtype == format.I8 {
			w = wholeIntegers(d.cols)
		}
	}
	if w == nil || w.table == nil {
		return c, 0, false
	}
	return coding{d.blockGrid, d.scales.block, d.scales.dtype, w}, d.scales.tensor, true
}

// tableWriter writes codes of a few bits, each the nearest one of a table.
type tableWriter struct {
	table *codeTable
	packedRows
}

// wholeIntegers are of eight bits, with a sign.
func wholeIntegers(cols int64) *tableWriter {
	return &tableWriter{&signedBytes, packedRows{bitPacking{bits: 8}, cols, cols}}
}

// scale implements [codeWriter].
func (w *tableWriter) scale(d format.DType, dst []byte, largest float32) float32 {
	return w.table.scale(d, dst, largest)
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
	signedBytes  = newCodeTable(8, offsetIntegers[8], 0x80)
	offsetTables = func() (tables [9]codeTable) {
		for bits := range tables {
			tables[bits] = newCodeTable(bits, offsetIntegers[bits], 0)
		}
		return tables
	}()
	tableE2M1 = newCodeTable(4, valuesE2M1, 0)
	tableE2M3 = newCodeTable(6, valuesE2M3, 0)
)

// newCodeTable makes a table of values by their codes; what codes are stored as differs in some bits.
func newCodeTable(bits int, values []float32, flip uint32) codeTable {
	t := codeTable{bits: bits, values: values}
	if half := len(values) / 2; half > 0 && values[half] == 0 && math.Signbit(float64(values[half])) { // floats
		t.sign, t.values = uint32(half), values[:half]
	}
	for code := range t.values {
		t.codes = append(t.codes, uint32(code)^flip)
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
