//go:build !noasm

package vec

import "unsafe"

// float32Blocks is [blocks] of a tile of float32. One of float64 is left to the
// reference: it is rare, and of its bytes plain loops do as many as one wants.
func float32Blocks[T Float](x []T) int {
	if !single[T]() {
		return 0
	}
	return blocks(len(x))
}

// float32s is where the elements of a tile of float32 begin.
func float32s[T Float](x []T) *float32 {
	return (*float32)(unsafe.Pointer(unsafe.SliceData(x)))
}

func deltaSIMD[T Float](dst, a, b []T) int {
	n := float32Blocks(dst)
	if n > 0 {
		deltaAVX2(float32s(dst), float32s(a), float32s(b), n, 0, 0)
	}
	return n
}

func absSIMD[T Float](dst, x []T) int {
	n := float32Blocks(dst)
	if n > 0 {
		absAVX2(float32s(dst), float32s(x), nil, n, 0, 0)
	}
	return n
}

func sqrtSIMD[T Float](dst, x []T) int {
	n := float32Blocks(dst)
	if n > 0 {
		sqrtAVX2(float32s(dst), float32s(x), nil, n, 0, 0)
	}
	return n
}

func squareSIMD[T Float](dst, x []T) int {
	n := float32Blocks(dst)
	if n > 0 {
		squareAVX2(float32s(dst), float32s(x), nil, n, 0, 0)
	}
	return n
}

func mulSIMD[T Float](dst, a, b []T) int {
	n := float32Blocks(dst)
	if n > 0 {
		mulAVX2(float32s(dst), float32s(a), float32s(b), n, 0, 0)
	}
	return n
}

func mulAbsSIMD[T Float](dst, x, a []T) int {
	n := float32Blocks(dst)
	if n > 0 {
		mulAbsAVX2(float32s(dst), float32s(x), float32s(a), n, 0, 0)
	}
	return n
}

func scaleSIMD[T Float](dst, x []T, w T) int {
	n := float32Blocks(dst)
	if n > 0 {
		scaleAVX2(float32s(dst), float32s(x), nil, n, float32(w), 0)
	}
	return n
}

func axpySIMD[T Float](acc []T, w T, x []T) int {
	n := float32Blocks(acc)
	switch {
	case n == 0:
	case level == AVX512:
		axpyAVX512(float32s(acc), float32s(x), nil, n, float32(w), 0)
	default:
		axpyAVX2(float32s(acc), float32s(x), nil, n, float32(w), 0)
	}
	return n
}

func mulAxpySIMD[T Float](acc []T, w T, s, x []T) int {
	n := float32Blocks(acc)
	switch {
	case n == 0:
	case level == AVX512:
		mulAxpyAVX512(float32s(acc), float32s(s), float32s(x), n, float32(w), 0)
	default:
		mulAxpyAVX2(float32s(acc), float32s(s), float32s(x), n, float32(w), 0)
	}
	return n
}

func addSIMD[T Float](dst, x []T) int {
	n := float32Blocks(dst)
	switch {
	case n == 0:
	case level == AVX512:
		addAVX512(float32s(dst), float32s(x), nil, n, 0, 0)
	default:
		addAVX2(float32s(dst), float32s(x), nil, n, 0, 0)
	}
	return n
}

func divSIMD[T Float](dst, x []T, d T) int {
	n := float32Blocks(dst)
	if n > 0 {
		divAVX2(float32s(dst), float32s(x), nil, n, float32(d), 0)
	}
	return n
}

func divBySIMD[T Float](dst, num, den []T) int {
	n := float32Blocks(dst)
	if n > 0 {
		divByAVX2(float32s(dst), float32s(num), float32s(den), n, 0, 0)
	}
	return n
}

func subDivSIMD[T Float](dst, x []T, low, d T) int {
	n := float32Blocks(dst)
	if n > 0 {
		subDivAVX2(float32s(dst), float32s(x), nil, n, float32(low), float32(d))
	}
	return n
}

func applySIMD[T Float](dst, base []T, lambda T, acc []T) int {
	n := float32Blocks(dst)
	if n > 0 {
		applyAVX2(float32s(dst), float32s(base), float32s(acc), n, float32(lambda), 0)
	}
	return n
}

func contrastSIMD(dst, s, others []float32, n, eps float32) int {
	done := float32Blocks(dst)
	if done > 0 {
		contrastAVX2(float32s(dst), float32s(s), float32s(others), done, n, eps)
	}
	return done
}

func approachSIMD[T Float](dst, x []T, t, least T) int {
	n := float32Blocks(dst)
	if n > 0 {
		approachAVX2(float32s(dst), float32s(x), nil, n, float32(t), float32(least))
	}
	return n
}

func countNonZeroSIMD[T Float](count, x []T) int {
	n := float32Blocks(count)
	switch {
	case n == 0:
	case level == AVX512:
		countNonZeroAVX512(float32s(count), float32s(x), nil, n, 1, 0)
	default:
		countNonZeroAVX2(float32s(count), float32s(x), nil, n, 1, 0)
	}
	return n
}

func addWhereNonZeroSIMD[T Float](dst, s, x []T) int {
	n := float32Blocks(dst)
	switch {
	case n == 0:
	case level == AVX512:
		addWhereNonZeroAVX512(float32s(dst), float32s(s), float32s(x), n, 0, 0)
	default:
		addWhereNonZeroAVX2(float32s(dst), float32s(s), float32s(x), n, 0, 0)
	}
	return n
}

func fillSIMD[T Float](dst []T, v T) int {
	n := float32Blocks(dst)
	switch {
	case n == 0:
	case level == AVX512:
		fillAVX512(float32s(dst), nil, nil, n, float32(v), 0)
	default:
		fillAVX2(float32s(dst), nil, nil, n, float32(v), 0)
	}
	return n
}

func keepSignSIMD[T Float](x, d, sum []T) int {
	n := float32Blocks(x)
	switch {
	case n == 0:
	case level == AVX512:
		keepSignAVX512(float32s(x), float32s(d), float32s(sum), n, 0, 0)
	default:
		keepSignAVX2(float32s(x), float32s(d), float32s(sum), n, 0, 0)
	}
	return n
}

// All of these compute dst = f(dst, a, b, v, w) for n elements, n a positive multiple
// of block. What f does not take is nil or 0.

//go:noescape
func deltaAVX2(dst, a, b *float32, n int, v, w float32)

//go:noescape
func absAVX2(dst, a, b *float32, n int, v, w float32)

//go:noescape
func sqrtAVX2(dst, a, b *float32, n int, v, w float32)

//go:noescape
func squareAVX2(dst, a, b *float32, n int, v, w float32)

//go:noescape
func mulAVX2(dst, a, b *float32, n int, v, w float32)

//go:noescape
func mulAbsAVX2(dst, a, b *float32, n int, v, w float32)

//go:noescape
func scaleAVX2(dst, a, b *float32, n int, v, w float32)

//go:noescape
func axpyAVX2(dst, a, b *float32, n int, v, w float32)

//go:noescape
func axpyAVX512(dst, a, b *float32, n int, v, w float32)

//go:noescape
func mulAxpyAVX2(dst, a, b *float32, n int, v, w float32)

//go:noescape
func mulAxpyAVX512(dst, a, b *float32, n int, v, w float32)

//go:noescape
func addAVX2(dst, a, b *float32, n int, v, w float32)

//go:noescape
func addAVX512(dst, a, b *float32, n int, v, w float32)

//go:noescape
func divAVX2(dst, a, b *float32, n int, v, w float32)

//go:noescape
func divByAVX2(dst, a, b *float32, n int, v, w float32)

//go:noescape
func subDivAVX2(dst, a, b *float32, n int, v, w float32)

//go:noescape
func applyAVX2(dst, a, b *float32, n int, v, w float32)

//go:noescape
func contrastAVX2(dst, a, b *float32, n int, v, w float32)

//go:noescape
func approachAVX2(dst, a, b *float32, n int, v, w float32)

//go:noescape
func countNonZeroAVX2(dst, a, b *float32, n int, v, w float32)

//go:noescape
func countNonZeroAVX512(dst, a, b *float32, n int, v, w float32)

//go:noescape
func addWhereNonZeroAVX2(dst, a, b *float32, n int, v, w float32)

//go:noescape
func addWhereNonZeroAVX512(dst, a, b *float32, n int, v, w float32)

//go:noescape
func fillAVX2(dst, a, b *float32, n int, v, w float32)

//go:noescape
func fillAVX512(dst, a, b *float32, n int, v, w float32)

//go:noescape
func keepSignAVX2(dst, a, b *float32, n int, v, w float32)

//go:noescape
func keepSignAVX512(dst, a, b *float32, n int, v, w float32)
