//go:build !noasm

package vec

import "math"

func decodeBF16SIMD(dst []float32, src []byte) int {
	n := blocks(len(dst))
	switch {
	case n == 0:
	case level == AVX512:
		decodeBF16AVX512(&dst[0], &src[0], nil, n, 0)
	default:
		decodeBF16AVX2(&dst[0], &src[0], nil, n, 0)
	}
	return n
}

func absBF16SIMD(dst []float32, src []byte) int {
	n := blocks(len(dst))
	switch {
	case n == 0:
	case level == AVX512:
		absBF16AVX512(&dst[0], &src[0], nil, n, 0)
	default:
		absBF16AVX2(&dst[0], &src[0], nil, n, 0)
	}
	return n
}

func scaleBF16SIMD(dst []float32, src []byte, w float32) int {
	n := blocks(len(dst))
	switch {
	case n == 0:
	case level == AVX512:
		scaleBF16AVX512(&dst[0], &src[0], nil, n, w)
	default:
		scaleBF16AVX2(&dst[0], &src[0], nil, n, w)
	}
	return n
}

func axpyBF16SIMD(acc []float32, w float32, src []byte) int {
	n := blocks(len(acc))
	switch {
	case n == 0:
	case level == AVX512:
		axpyBF16AVX512(&acc[0], &src[0], nil, n, w)
	default:
		axpyBF16AVX2(&acc[0], &src[0], nil, n, w)
	}
	return n
}

func deltaBF16SIMD(dst []float32, src []byte, base []float32) int {
	n := blocks(len(dst))
	switch {
	case n == 0:
	case level == AVX512:
		deltaBF16AVX512(&dst[0], &src[0], &base[0], n, 0)
	default:
		deltaBF16AVX2(&dst[0], &src[0], &base[0], n, 0)
	}
	return n
}

func distanceBF16SIMD(dst []float32, src, base []byte) int {
	n := blocks(len(dst))
	switch {
	case n == 0:
	case level == AVX512:
		distanceBF16AVX512(&dst[0], &src[0], &base[0], n, math.MaxFloat32)
	default:
		distanceBF16AVX2(&dst[0], &src[0], &base[0], n, math.MaxFloat32)
	}
	return n
}

func axpyDeltaBF16SIMD(acc []float32, w float32, src []byte, base []float32) int {
	n := blocks(len(acc))
	switch {
	case n == 0:
	case level == AVX512:
		axpyDeltaBF16AVX512(&acc[0], &src[0], &base[0], n, w)
	default:
		axpyDeltaBF16AVX2(&acc[0], &src[0], &base[0], n, w)
	}
	return n
}

// All of these compute dst = f(dst, a, b, v) for n elements, n a positive multiple of
// block, a being bfloat16 and b what its type says. What f does not take is nil or 0.

//go:noescape
func decodeBF16AVX2(dst *float32, a, b *byte, n int, v float32)

//go:noescape
func decodeBF16AVX512(dst *float32, a, b *byte, n int, v float32)

//go:noescape
func absBF16AVX2(dst *float32, a, b *byte, n int, v float32)

//go:noescape
func absBF16AVX512(dst *float32, a, b *byte, n int, v float32)

//go:noescape
func scaleBF16AVX2(dst *float32, a, b *byte, n int, v float32)

//go:noescape
func scaleBF16AVX512(dst *float32, a, b *byte, n int, v float32)

//go:noescape
func axpyBF16AVX2(dst *float32, a, b *byte, n int, v float32)

//go:noescape
func axpyBF16AVX512(dst *float32, a, b *byte, n int, v float32)

//go:noescape
func deltaBF16AVX2(dst *float32, a *byte, b *float32, n int, v float32)

//go:noescape
func deltaBF16AVX512(dst *float32, a *byte, b *float32, n int, v float32)

//go:noescape
func distanceBF16AVX2(dst *float32, a, b *byte, n int, v float32)

//go:noescape
func distanceBF16AVX512(dst *float32, a, b *byte, n int, v float32)

//go:noescape
func axpyDeltaBF16AVX2(dst *float32, a *byte, b *float32, n int, v float32)

//go:noescape
func axpyDeltaBF16AVX512(dst *float32, a *byte, b *float32, n int, v float32)
