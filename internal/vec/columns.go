package vec

import "math"

// Codes of four bits may lie the other way round than values: the codes of a column in a row, 32 of them in 16 bytes, with one scale. Kernels of this file restore and store a group: 32
// rows of some columns. Turning codes is an eighth of the work of turning values.

// GroupRows is how many rows a group has.
const GroupRows = 32

// groupBytes are the bytes of the codes of a column in a group.
const groupBytes = GroupRows / 2

// DecodeNibbleColumns restores len(scales) columns of a group: dst[r·dstStep + c] = values[code] × scales[c], where code is that of row r in the 16 bytes at src[c·srcStep:], the lower half of a byte
// first. Steps are in elements and in bytes. Scales are finite, or the NaN that encoders write.
func DecodeNibbleColumns(dst []float32, dstStep int, src []byte, srcStep int, values *[16]float32, scales []float32) {
	cols := len(scales)
	if cols == 0 {
		return
	}
	_, _ = dst[(GroupRows-1)*dstStep+cols-1], src[(cols-1)*srcStep+groupBytes-1]
	for c := decodeNibbleColumnsSIMD(dst, dstStep, src, srcStep, values, scales); c < cols; c++ {
		for r, pair := range src[c*srcStep:][:groupBytes] {
			dst[2*r*dstStep+c] = values[pair&15] * scales[c]
			dst[(2*r+1)*dstStep+c] = values[pair>>4] * scales[c]
		}
	}
}

// mostPlainE2M1 bounds the magnitudes that [EncodeE2M1Columns] takes: a code of a larger one might be read as infinite.
const mostPlainE2M1 = 0x1p126

// EncodeE2M1Columns stores len(scales) columns of a group by powers of two of their own: of each the power by which its largest magnitude, rounded to one bit of mantissa, is 4 or 6 (OCP
// Microscaling Formats 1.0, section 6.3), at least 2^−127, and 1 of zeros. In scales it is 127 more than its exponent. Quotients are rounded as by [EncodeE2M1Groups]; codes
// lie as [DecodeNibbleColumns] takes them. ok is false, whatever was stored, where an element's magnitude is not below 2^126.
func EncodeE2M1Columns(dst []byte, dstStep int, scales []byte, src []float32, srcStep int) (ok bool) {
	cols := len(scales)
	if cols == 0 {
		return true
	}
	_, _ = src[(GroupRows-1)*srcStep+cols-1], dst[(cols-1)*dstStep+groupBytes-1]
	c, ok := encodeE2M1ColumnsSIMD(dst, dstStep, scales, src, srcStep)
	for ; c < cols; c++ {
		var column [GroupRows]float32
		largest := float32(0)
		for r := range column {
			column[r] = src[r*srcStep+c]
			ok = ok && abs(column[r]) < mostPlainE2M1
			largest = max(largest, abs(column[r]))
		}
		scales[c] = powerE2M1(largest)
		scale := math.Float32frombits(max(uint32(scales[c])<<23, 1<<22))
		EncodeE2M1Groups(dst[c*dstStep:][:groupBytes], column[:], []float32{scale}, GroupRows)
	}
	return ok
}

// powerE2M1 is the scale of values up to largest.
func powerE2M1(largest float32) uint8 {
	const one, ofSix, half = 127, 2, 1 << 21
	if largest == 0 {
		return one
	}
	return uint8(max(int(math.Float32bits(largest)+half)>>23-ofSix, 0)) // rounding carries into the exponent; a subnormal has the least
}
