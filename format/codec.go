package format

import (
	"fmt"

	"weld/internal/vec"
)

// codecChunk is the number of elements that Decode converts at a time on the
// stack, where a type has no direct way to the destination's.
const codecChunk = 256

// Decode fills dst with the values of elements of a computable type. Every type
// but F64 decodes exactly; F64 into float32 is rounded to nearest even.
func Decode[T vec.Float](d DType, dst []T, src []byte) {
	switch dst := any(dst).(type) {
	case []float32:
		decode32(d, dst, src)
	case []float64:
		decode64(d, dst, src)
	}
}

func decode32(d DType, dst []float32, src []byte) {
	switch d {
	case F32:
		vec.DecodeF32(dst, src)
	case F16:
		vec.DecodeF16(dst, src)
	case BF16:
		vec.DecodeBF16(dst, src)
	case F8E4M3:
		vec.DecodeF8E4M3(dst, src)
	case F8E5M2:
		vec.DecodeF8E5M2(dst, src)
	case F64:
		var wide [codecChunk]float64
		for len(dst) > 0 {
			n := min(len(dst), codecChunk)
			vec.DecodeF64(wide[:n], src)
			vec.Narrow(dst[:n], wide[:n])
			dst, src = dst[n:], src[8*n:]
		}
	default:
		panic(fmt.Sprintf("format: decode of %v", d))
	}
}

func decode64(d DType, dst []float64, src []byte) {
	if d == F64 {
		vec.DecodeF64(dst, src)
		return
	}
	var narrow [codecChunk]float32
	size := d.Bits() / 8
	for len(dst) > 0 {
		n := min(len(dst), codecChunk)
		decode32(d, narrow[:n], src)
		vec.Widen(dst[:n], narrow[:n])
		dst, src = dst[n:], src[size*n:]
	}
}

// Encode writes values as elements of a computable type, each rounded once, to
// nearest even. What is too large becomes an infinity, in F8_E4M3, which has none,
// NaN; every NaN is written as the type's positive quiet NaN.
func Encode[T vec.Float](d DType, dst []byte, src []T) {
	switch d {
	case F64:
		vec.EncodeF64(dst, src)
	case F32:
		vec.EncodeF32(dst, src)
	case F16:
		vec.EncodeF16(dst, src)
	case BF16:
		vec.EncodeBF16(dst, src)
	case F8E4M3:
		vec.EncodeF8E4M3(dst, src)
	case F8E5M2:
		vec.EncodeF8E5M2(dst, src)
	default:
		panic(fmt.Sprintf("format: encode of %v", d))
	}
}

// Overflow is the smallest magnitude that [Encode] does not write as a finite
// value of the type.
func Overflow[T vec.Float](d DType) T {
	switch d {
	case F32:
		return vec.OverflowF32[T]()
	case F16:
		return vec.OverflowF16[T]()
	case BF16:
		return vec.OverflowBF16[T]()
	case F8E5M2:
		return vec.OverflowF8E5M2[T]()
	case F8E4M3:
		return vec.OverflowF8E4M3[T]()
	default:
		return vec.OverflowF64[T]()
	}
}
