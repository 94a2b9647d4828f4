package vec

import (
	"encoding/binary"
	"math"
)

// EncodeBF16 rounds len(dst)/2 elements of src to bfloat16.
//
// Like all encoders it rounds once, to nearest with ties to even, also from
// float64; keeps denormals; turns what overflows (see [OverflowBF16]) into an
// infinity of its sign; and writes every NaN as the one of its format:
//
//	float64   0x7ff8000000000000
//	float32   0x7fc00000
//	bfloat16  0x7fc0
//	binary16  0x7e00
//	E5M2      0x7e
//	E4M3      0x7f, also for what overflows, as it has no infinity
func EncodeBF16[T Float](dst []byte, src []T) {
	src = src[:len(dst)/2]
	n := encodeBF16SIMD(dst, src)
	dst, src = dst[2*n:], src[n:]
	switch src := any(src).(type) {
	case []float32:
		encodeBF16(dst, src)
	case []float64:
		write16(dst, src, bf16From64)
	}
}

// EncodeBF16Finite is [EncodeBF16], and reports whether all that it wrote is finite:
// whether no element of src is a NaN or reaches [OverflowBF16].
func EncodeBF16Finite(dst []byte, src []float32) (finite bool) {
	src = src[:len(dst)/2]
	n, finite := encodeBF16FiniteSIMD(dst, src)
	dst, src = dst[2*n:], src[n:]
	finite = finite && FirstNonFinite(src, OverflowBF16[float32]()) == -1
	encodeBF16(dst, src)
	return finite
}

func encodeBF16(dst []byte, src []float32) {
	src = src[:len(dst)/2]
	for len(src) >= 4 && len(dst) >= 8 {
		low := uint32(bf16From32(src[0])) | uint32(bf16From32(src[1]))<<16
		high := uint32(bf16From32(src[2])) | uint32(bf16From32(src[3]))<<16
		binary.LittleEndian.PutUint64(dst, uint64(low)|uint64(high)<<32)
		src, dst = src[4:], dst[8:]
	}
	write16(dst, src, bf16From32)
}

// EncodeF16 rounds len(dst)/2 elements of src to IEEE 754 binary16, as
// [EncodeBF16] does.
func EncodeF16[T Float](dst []byte, src []T) {
	src = src[:len(dst)/2]
	n := encodeF16SIMD(dst, src)
	dst, src = dst[2*n:], src[n:]
	switch src := any(src).(type) {
	case []float32:
		write16(dst, src, f16From32)
	case []float64:
		write16(dst, src, f16From64)
	}
}

// EncodeF8E4M3 rounds len(dst) elements of src to E4M3 (see [DecodeF8E4M3]), as
// [EncodeBF16] does, but what overflows becomes NaN.
func EncodeF8E4M3[T Float](dst []byte, src []T) {
	src = src[:len(dst)]
	n := encodeF8E4M3SIMD(dst, src)
	dst, src = dst[n:], src[n:]
	switch src := any(src).(type) {
	case []float32:
		write8(dst, src, e4m3From32)
	case []float64:
		write8(dst, src, e4m3From64)
	}
}

// EncodeF8E5M2 rounds len(dst) elements of src to E5M2, as [EncodeBF16] does.
func EncodeF8E5M2[T Float](dst []byte, src []T) {
	src = src[:len(dst)]
	n := encodeF8E5M2SIMD(dst, src)
	dst, src = dst[n:], src[n:]
	switch src := any(src).(type) {
	case []float32:
		write8(dst, src, e5m2From32)
	case []float64:
		write8(dst, src, e5m2From64)
	}
}

func write16[T Float](dst []byte, src []T, round func(T) uint16) {
	src = src[:len(dst)/2]
	for _, v := range src {
		if len(dst) < 2 { // never; spares the bounds checks below
			return
		}
		binary.LittleEndian.PutUint16(dst, round(v))
		dst = dst[2:]
	}
}

func write8[T Float](dst []byte, src []T, round func(T) uint8) {
	src = src[:len(dst)]
	for i, v := range src {
		dst[i] = round(v)
	}
}

// EncodeF32 rounds len(dst)/4 elements of src to float32, as [EncodeBF16] does.
func EncodeF32[T Float](dst []byte, src []T) {
	src = src[:len(dst)/4]
	n := encodeF32SIMD(dst, src)
	dst, src = dst[4*n:], src[n:]
	for _, v := range src {
		if len(dst) < 4 { // never; spares the bounds checks below
			return
		}
		b := math.Float32bits(float32(v))
		if v != v {
			b = nan32
		}
		binary.LittleEndian.PutUint32(dst, b)
		dst = dst[4:]
	}
}

// EncodeF64 writes len(dst)/8 elements of src as float64, which is exact; NaNs
// are written as [EncodeBF16] does.
func EncodeF64[T Float](dst []byte, src []T) {
	src = src[:len(dst)/8]
	n := encodeF64SIMD(dst, src)
	dst, src = dst[8*n:], src[n:]
	for _, v := range src {
		if len(dst) < 8 { // never; spares the bounds checks below
			return
		}
		b := math.Float64bits(float64(v))
		if v != v {
			b = nan64
		}
		binary.LittleEndian.PutUint64(dst, b)
		dst = dst[8:]
	}
}
