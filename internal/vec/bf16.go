package vec

import (
	"encoding/binary"
	"math"
)

// The kernels here take operands as the bfloat16 bytes they are stored in, and compute
// what they would of the decoded elements. That spares the tile a pass through the
// registers, and the memory to decode it to. No slice of floats may overlap a
// slice of bytes.

// fromBF16 is element i of src.
func fromBF16(src []byte, i int) float32 {
	return math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16)
}

// AbsBF16 computes dst = |x|, x being decoded from src: [DecodeBF16], then [Abs].
func AbsBF16(dst []float32, src []byte) {
	src = src[:2*len(dst)]
	n := absBF16SIMD(dst, src)
	dst, src = dst[n:], src[2*n:]
	for i := range dst {
		dst[i] = abs(fromBF16(src, i))
	}
}

// ScaleBF16 computes dst = x·w, x being decoded from src: [DecodeBF16], then [Scale].
func ScaleBF16(dst []float32, src []byte, w float32) {
	src = src[:2*len(dst)]
	n := scaleBF16SIMD(dst, src, w)
	dst, src = dst[n:], src[2*n:]
	for i := range dst {
		dst[i] = fromBF16(src, i) * w
	}
}

// AxpyBF16 computes acc += w·x, x being decoded from src: [DecodeBF16], then [Axpy].
func AxpyBF16(acc []float32, w float32, src []byte) {
	src = src[:2*len(acc)]
	n := axpyBF16SIMD(acc, w, src)
	acc, src = acc[n:], src[2*n:]
	for i := range acc {
		acc[i] += float32(w * fromBF16(src, i))
	}
}

// DeltaBF16 computes dst = x - base, and +0 where both have the same bits, x being
// decoded from src: [DecodeBF16], then [Delta].
func DeltaBF16(dst []float32, src []byte, base []float32) {
	src, base = src[:2*len(dst)], base[:len(dst)]
	n := deltaBF16SIMD(dst, src, base)
	dst, src, base = dst[n:], src[2*n:], base[n:]
	for i := range dst {
		x := fromBF16(src, i)
		d := x - base[i]
		if d != d && sameBits(x, base[i]) {
			d = 0
		}
		dst[i] = d
	}
}

// DistanceBF16 computes dst = |x - base|, and +0 where both have the same bits, x and base being
// decoded from bytes: [DeltaBF16], then [Abs]. What is not finite comes out as the largest finite number.
func DistanceBF16(dst []float32, src, base []byte) {
	src, base = src[:2*len(dst)], base[:2*len(dst)]
	n := distanceBF16SIMD(dst, src, base)
	dst, src, base = dst[n:], src[2*n:], base[2*n:]
	for i := range dst {
		x, b := fromBF16(src, i), fromBF16(base, i)
		d := abs(x - b)
		if !(d <= math.MaxFloat32) {
			d = keep(bit(!sameBits(x, b)), float32(math.MaxFloat32))
		}
		dst[i] = d
	}
}

// AxpyDeltaBF16 computes acc += w·(x - base), with +0 for the difference where both have
// the same bits, x being decoded from src: [DeltaBF16], then [Axpy].
func AxpyDeltaBF16(acc []float32, w float32, src []byte, base []float32) {
	src, base = src[:2*len(acc)], base[:len(acc)]
	n := axpyDeltaBF16SIMD(acc, w, src, base)
	acc, src, base = acc[n:], src[2*n:], base[n:]
	for i := range acc {
		x := fromBF16(src, i)
		d := x - base[i]
		if d != d && sameBits(x, base[i]) {
			d = 0
		}
		acc[i] += float32(w * d)
	}
}
