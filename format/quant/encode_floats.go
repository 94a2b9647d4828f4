package quant

import (
	"encoding/binary"
	"math"

	"weld/format"
	"weld/internal/vec"
)

// coding implements [codable].
func (d *blockDecoder) coding() (c coding, of parts, ok bool) {
	w := floatWriter{d.dtype, largestCode(d.dtype)}
	c = coding{blockGrid: d.blockGrid, block: d.scales.block, scaleType: d.scales.dtype, codes: w}
	return c, parts{scales: d.scales.tensor, zeros: -1, global: -1, groups: -1}, w.largest != 0
}

// floatWriter writes floats of eight bits. The scale of a block is its largest magnitude over that of the codes' type, and each code is rounded to
// the nearest, ties to even.
type floatWriter struct {
	dtype   format.DType
	largest float32 // code
}

// stored implements [codeWriter].
func (floatWriter) stored(lo, hi int64) (off, n int64) { return lo, hi - lo }

// scale implements [codeWriter].
func (w floatWriter) scale(d format.DType, dst []byte, largest float32) float32 {
	return encodeScale(d, dst, largest, w.largest)
}

// value implements [codeWriter].
func (w floatWriter) value(x float32) float32 { return encodedScale(w.dtype, make([]byte, 1), x) }

// encode implements [codeWriter].
func (w floatWriter) encode(row []byte, col int64, values []float32) bool {
	format.Encode(w.dtype, row[col:col+int64(len(values))], values)
	return true
}

// encodeGroups implements [groupWriter].
func (w floatWriter) encodeGroups(row []byte, col int64, values, _, scales []float32, group int) bool {
	if w.dtype != format.F8E4M3 {
		return false
	}
	vec.EncodeF8E4M3Groups(row[col:][:len(values)], values, scales, group)
	return true
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
