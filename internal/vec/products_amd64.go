//go:build !noasm

package vec

func mulAbsBF16SIMD(dst []float32, x, a []byte) (n int, finite bool) {
	n = blocks(len(dst))
	switch {
	case n == 0:
		return 0, true
	case level == AVX512:
		finite = mulAbsBF16AVX512(&dst[0], nil, nil, &x[0], nil, &a[0], n)
	default:
		finite = mulAbsBF16AVX2(&dst[0], nil, nil, &x[0], nil, &a[0], n)
	}
	return n, finite
}

func mulAbsByBF16SIMD(dst, x []float32, a []byte) (n int, finite bool) {
	if n = blocks(len(dst)); n == 0 {
		return 0, true
	}
	return n, mulAbsByBF16AVX2(&dst[0], nil, &x[0], nil, nil, &a[0], n) // 512 bits are slower
}

func mulAbsDeltaBF16SIMD(dst []float32, x, base, a []byte) (n int, finite bool) {
	n = blocks(len(dst))
	switch {
	case n == 0:
		return 0, true
	case level == AVX512:
		finite = mulAbsDeltaBF16AVX512(&dst[0], nil, nil, &x[0], &base[0], &a[0], n)
	default:
		finite = mulAbsDeltaBF16AVX2(&dst[0], nil, nil, &x[0], &base[0], &a[0], n)
	}
	return n, finite
}

func deltaMulAbsBF16SIMD(delta, dst []float32, x []byte, base []float32, a []byte) (n int, finite bool) {
	n = blocks(len(dst))
	switch {
	case n == 0:
		return 0, true
	case level == AVX512:
		finite = deltaMulAbsBF16AVX512(&dst[0], &delta[0], &base[0], &x[0], nil, &a[0], n)
	default:
		finite = deltaMulAbsBF16AVX2(&dst[0], &delta[0], &base[0], &x[0], nil, &a[0], n)
	}
	return n, finite
}

// All of these take n elements, n a positive multiple of block. What they do not look at is nil. Delta is a result, wide an operand in float32, x, base
// and a are bfloat16.

//go:noescape
func mulAbsBF16AVX2(dst, delta, wide *float32, x, base, a *byte, n int) (finite bool)

//go:noescape
func mulAbsBF16AVX512(dst, delta, wide *float32, x, base, a *byte, n int) (finite bool)

//go:noescape
func mulAbsByBF16AVX2(dst, delta, wide *float32, x, base, a *byte, n int) (finite bool)

//go:noescape
func mulAbsDeltaBF16AVX2(dst, delta, wide *float32, x, base, a *byte, n int) (finite bool)

//go:noescape
func mulAbsDeltaBF16AVX512(dst, delta, wide *float32, x, base, a *byte, n int) (finite bool)

//go:noescape
func deltaMulAbsBF16AVX2(dst, delta, wide *float32, x, base, a *byte, n int) (finite bool)

//go:noescape
func deltaMulAbsBF16AVX512(dst, delta, wide *float32, x, base, a *byte, n int) (finite bool)
