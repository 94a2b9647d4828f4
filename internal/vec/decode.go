package vec

import (
	"encoding/binary"
	"math"
)

// DecodeBF16 reads len(dst) bfloat16 values, the leading halves of float32
// values, from src. NaNs keep every bit.
func DecodeBF16(dst []float32, src []byte) {
	src = src[:2*len(dst)]
	n := decodeBF16SIMD(dst, src)
	dst, src = dst[n:], src[2*n:]
	for len(dst) >= 4 && len(src) >= 8 {
		four := binary.LittleEndian.Uint64(src)
		low, high := uint32(four), uint32(four>>32)
		dst[0] = math.Float32frombits(low << 16)
		dst[1] = math.Float32frombits(low &^ 0xffff)
		dst[2] = math.Float32frombits(high << 16)
		dst[3] = math.Float32frombits(high &^ 0xffff)
		dst, src = dst[4:], src[8:]
	}
	for i := range dst {
		dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16)
	}
}

// DecodeF16 reads len(dst) IEEE 754 binary16 values from src. A NaN comes out
// quiet with its sign and payload, as the VCVTPH2PS instruction has it.
func DecodeF16(dst []float32, src []byte) {
	src = src[:2*len(dst)]
	n := decodeF16SIMD(dst, src)
	dst, src = dst[n:], src[2*n:]
	for i := range dst {
		if len(src) < 2 { // never; spares the bounds checks below
			return
		}
		half := uint32(binary.LittleEndian.Uint16(src))
		src = src[2:]
		sign, magnitude := half&0x8000<<16, half&0x7fff
		if magnitude-leastF16 < infF16-leastF16 { // normal: from bias 15 to 127
			dst[i] = math.Float32frombits(sign | magnitude<<13 + (127-15)<<23)
		} else {
			dst[i] = fromRareF16(sign, magnitude)
		}
	}
}

// leastF16 is the code of the smallest normal value.
const leastF16 = 1 << 10

func fromRareF16(sign, magnitude uint32) float32 {
	switch {
	case magnitude < leastF16: // denormal: a multiple of 2^-24
		tiny := float32(int32(magnitude)) * 0x1p-24
		return math.Float32frombits(sign | math.Float32bits(tiny))
	case magnitude == infF16:
		return math.Float32frombits(sign | inf32)
	}
	return math.Float32frombits(sign | nan32 | magnitude<<13)
}

// DecodeF32 reads len(dst) float32 values from src. NaNs keep every bit.
func DecodeF32(dst []float32, src []byte) {
	if littleEndian() {
		copy(memory(dst), src[:4*len(dst)])
		return
	}
	decodeF32(dst, src)
}

func decodeF32(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
	}
}

// DecodeF64 reads len(dst) float64 values from src. NaNs keep every bit.
func DecodeF64(dst []float64, src []byte) {
	if littleEndian() {
		copy(memory(dst), src[:8*len(dst)])
		return
	}
	decodeF64(dst, src)
}

func decodeF64(dst []float64, src []byte) {
	for i := range dst {
		dst[i] = math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:]))
	}
}

// DecodeF8E4M3 reads len(dst) values of the 8-bit format with four exponent
// bits from src, in its "fn" form (OCP 8-bit Floating Point Specification 1.0):
// bias 7, no infinities, largest value 448, and only 0x7f and 0xff are NaN.
func DecodeF8E4M3(dst []float32, src []byte) {
	src = src[:len(dst)]
	n := decodeF8E4M3SIMD(dst, src)
	lookUp(dst[n:], src[n:], &fromE4M3)
}

// DecodeF8E5M2 reads len(dst) values of the 8-bit format with five exponent
// bits from src: the leading halves of binary16 values, with infinities and
// NaNs as there.
func DecodeF8E5M2(dst []float32, src []byte) {
	src = src[:len(dst)]
	n := decodeF8E5M2SIMD(dst, src)
	lookUp(dst[n:], src[n:], &fromE5M2)
}

func lookUp(dst []float32, src []byte, value *[256]float32) {
	src = src[:len(dst)]
	for i, code := range src {
		dst[i] = value[code]
	}
}

var (
	fromE4M3 = tabulate(func(code uint32) float32 {
		sign, magnitude := code&0x80<<24, code&0x7f
		if magnitude == nanE4M3 {
			return math.Float32frombits(sign | nan32)
		}
		// The bits at float32's positions make a value 2^(127-7) times too small.
		return math.Float32frombits(sign|magnitude<<20) * 0x1p120
	})
	fromE5M2 = tabulate(func(code uint32) float32 {
		var value [1]float32
		DecodeF16(value[:], []byte{0, byte(code)})
		return value[0]
	})
)

func tabulate(value func(code uint32) float32) (table [256]float32) {
	for code := range table {
		table[code] = value(uint32(code))
	}
	return table
}

// Widen converts src to float64, which is exact.
func Widen(dst []float64, src []float32) {
	src = src[:len(dst)]
	n := widenSIMD(dst, src)
	dst, src = dst[n:], src[n:]
	for i, v := range src {
		dst[i] = float64(v)
	}
}

// Narrow rounds src to float32, to nearest with ties to even; magnitudes from
// [OverflowF32] on become infinite.
func Narrow(dst []float32, src []float64) {
	src = src[:len(dst)]
	n := narrowSIMD(dst, src)
	dst, src = dst[n:], src[n:]
	for i, v := range src {
		dst[i] = float32(v)
	}
}
