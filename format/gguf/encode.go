package gguf

import (
	"encoding/binary"
	"math"

	"weld/format"
	"weld/internal/vec"
)

// Encoders of one block each: they round to nearest, as gguf-py 0.19.0 does, and give its bytes. A block is refused where a value is
// not finite, or a scale has no binary16.

// eachBlock encodes values block by block.
func eachBlock(elements, bytes int, one func(block []byte, x []float32) bool) func(dst []byte, src []float32) bool {
	return func(dst []byte, src []float32) bool {
		for len(src) > 0 {
			if !one(dst[:bytes], src[:elements]) {
				return false
			}
			dst, src = dst[bytes:], src[elements:]
		}
		return true
	}
}

// putHalf writes a binary16, and reports whether it is a number.
func putHalf(dst []byte, x float32) bool {
	format.Encode(format.F16, dst[:2], []float32{x})
	return binary.LittleEndian.Uint16(dst)&0x7c00 != 0x7c00
}

// extreme is the first value of the largest magnitude; NaN where one is not finite. Magnitudes are in the order of their bits.
func extreme(x []float32) (most float32) {
	const sign, infinite = 1 << 31, 0x7f800000
	most = x[0]
	largest := math.Float32bits(most) &^ sign
	for _, v := range x[1:] {
		if bits := math.Float32bits(v) &^ sign; bits > largest {
			largest, most = bits, v
		}
	}
	if largest >= infinite {
		return float32(math.NaN())
	}
	return most
}

// span is the least value and the greatest; NaN where one is not finite.
func span(x []float32) (least, most float32) {
	least, most = x[0], x[0]
	for _, v := range x {
		if v-v != 0 {
			return v - v, v - v
		}
		least, most = min(least, v), max(most, v)
	}
	return least, most
}

// inverse is what values are multiplied with in place of a division by a scale; 0 where that has none.
func inverse(scale float32) float32 {
	if inv := 1 / scale; inv-inv == 0 {
		return inv
	}
	return 0
}

// encodeQ8_0 rounds ties away from zero.
func encodeQ8_0(dst []byte, src []float32) bool {
	return finite(src) && vec.EncodeHalfScaledI8(dst, src) == len(src)/32
}

// signedCodes encodes values by a scale that makes the one of the largest magnitude the least code, −half; the code of zero is half.
func signedCodes(codes *[32]byte, head []byte, x []float32, half int) bool {
	d := extreme(x) / float32(-half)
	inv := inverse(d)
	for i, v := range x {
		codes[i] = byte(min(int32(v*inv+(float32(half)+0.5)), int32(2*half-1)))
	}
	return putHalf(head, d)
}

// unsignedCodes encodes values by a scale and an offset, which make of the least value 0 and of the greatest the largest code.
func unsignedCodes(codes *[32]byte, head []byte, x []float32, largest int) bool {
	least, most := span(x)
	d := (most - least) / float32(largest)
	inv := inverse(d)
	for i, v := range x {
		codes[i] = byte(min(int32(float32((v-least)*inv)+0.5), int32(largest)))
	}
	return putHalf(head, d) && putHalf(head[2:], least)
}

// pairs puts the lower four bits of 32 codes into sixteen bytes.
func pairs(dst []byte, codes *[32]byte) {
	for k := range 16 {
		dst[k] = codes[k]&15 | codes[16+k]<<4
	}
}

// fifths puts the fifth bits of 32 codes into four bytes.
func fifths(dst []byte, codes *[32]byte) {
	for k := range dst[:4] {
		dst[k] = 0
		for bit, code := range codes[8*k : 8*k+8] {
			dst[k] |= code >> 4 & 1 << bit
		}
	}
}

func encodeQ4_0(block []byte, x []float32) bool {
	var codes [32]byte
	ok := signedCodes(&codes, block, x, 8)
	pairs(block[2:], &codes)
	return ok
}

func encodeQ4_1(block []byte, x []float32) bool {
	var codes [32]byte
	ok := unsignedCodes(&codes, block, x, 15)
	pairs(block[4:], &codes)
	return ok
}

func encodeQ5_0(block []byte, x []float32) bool {
	var codes [32]byte
	ok := signedCodes(&codes, block, x, 16)
	fifths(block[2:], &codes)
	pairs(block[6:], &codes)
	return ok
}

func encodeQ5_1(block []byte, x []float32) bool {
	var codes [32]byte
	ok := unsignedCodes(&codes, block, x, 31)
	fifths(block[4:], &codes)
	pairs(block[8:], &codes)
	return ok
}

// betweenE2M1 are the numbers halfway between neighbours of E2M1, doubled; what is at one takes the lower magnitude.
var betweenE2M1 = [7]float64{0.5, 1.5, 2.5, 3.5, 5, 7, 10}

// Magnitudes in units of the scale are told apart by their exponents from −1 on and two bits behind: all of betweenE2M1 begin such a quarter, and
// magnitudes are lowered by the least bit, so that one of these counts to the quarter before.
const (
	leastQuarter = (1023 - 1) * 4
	mostQuarters = 5 * 4 // up to 2^4, which is beyond the largest
)

// quarterE2M1 has the code for each quarter.
var quarterE2M1 = func() (codes [mostQuarters]byte) {
	for k := range codes {
		within := math.Float64frombits(uint64(leastQuarter+k)<<50 + 1)
		for _, b := range betweenE2M1 {
			if within > b {
				codes[k]++
			}
		}
	}
	return codes
}()

// encodeMXFP4 has as scale the power of two by which the largest magnitude has the largest exponent of E2M1. The logarithm is rounded to float32, as
// gguf-py and ggml have it: a magnitude just below a power of two may count as that.
func encodeMXFP4(block []byte, x []float32) bool {
	largest := float32(math.Abs(float64(extreme(x))))
	if largest != largest {
		return false
	}
	exponent := 0.0
	if largest > 0 {
		exponent = max(0, math.Floor(float64(float32(math.Log2(float64(largest)))))-2+127)
	}
	block[0] = byte(exponent)
	inverse := 1 / float64(halfPower(block[0])) // a power of two
	var codes [32]byte
	for i, v := range x {
		magnitude := math.Abs(float64(v)) * inverse
		if magnitude <= betweenE2M1[0] {
			continue
		}
		quarter := (math.Float64bits(magnitude)-1)>>50 - leastQuarter
		code := quarterE2M1[min(quarter, mostQuarters-1)]
		if v < 0 {
			code |= 8
		}
		codes[i] = code
	}
	pairs(block[1:], &codes)
	return true
}
