//go:build !noasm

package vec

// Planes of 32-bit numbers and pairs take AVX2 at all levels above Portable.

func splitBF16SIMD(exponent, fraction, src []byte) int {
	n := blocks(len(exponent))
	switch {
	case n == 0:
	case level == AVX512:
		splitBF16AVX512(&exponent[0], &fraction[0], &src[0], n)
	default:
		splitBF16AVX2(&exponent[0], &fraction[0], &src[0], n)
	}
	return n
}

func joinBF16SIMD(dst, exponent, fraction []byte) int {
	n := blocks(len(exponent))
	switch {
	case n == 0:
	case level == AVX512:
		joinBF16AVX512(&dst[0], &exponent[0], &fraction[0], n)
	default:
		joinBF16AVX2(&dst[0], &exponent[0], &fraction[0], n)
	}
	return n
}

func splitF32SIMD(exponent, fraction, middle, low, src []byte) int {
	n := blocks(len(exponent))
	if n > 0 {
		splitF32AVX2(&exponent[0], &fraction[0], &middle[0], &low[0], &src[0], n)
	}
	return n
}

func joinF32SIMD(dst, exponent, fraction, middle, low []byte) int {
	n := blocks(len(exponent))
	if n > 0 {
		joinF32AVX2(&dst[0], &exponent[0], &fraction[0], &middle[0], &low[0], n)
	}
	return n
}

func split2SIMD(high, low, src []byte) int {
	n := blocks(len(high))
	if n > 0 {
		split2AVX2(&high[0], &low[0], &src[0], n)
	}
	return n
}

func join2SIMD(dst, high, low []byte) int {
	n := blocks(len(high))
	switch {
	case n == 0:
	case level == AVX512:
		join2AVX512(&dst[0], &high[0], &low[0], n)
	default:
		join2AVX2(&dst[0], &high[0], &low[0], n)
	}
	return n
}

func pairCodesSIMD(dst, src []byte, codes *Codes) (n, escapes int) {
	if level >= AVX2 {
		n = len(src) / pairGroup * pairGroup
	}
	if n > 0 {
		escapes = pairCodesAVX2(&dst[0], &src[0], codes, n)
	}
	return n, escapes
}

func unpairCodesSIMD(dst, src []byte, values *[16]byte) (n int) {
	if level >= AVX2 {
		n = len(dst) / pairGroup * pairGroup
	}
	if n > 0 {
		unpairCodesAVX2(&dst[0], &src[0], values, n)
	}
	return n
}

// All of these take n elements, a positive multiple of block; the last two a multiple of
// pairGroup.

//go:noescape
func splitBF16AVX2(exponent, fraction, src *byte, n int)

//go:noescape
func splitBF16AVX512(high, low, src *byte, n int)

//go:noescape
func joinBF16AVX2(dst, exponent, fraction *byte, n int)

//go:noescape
func joinBF16AVX512(dst, high, low *byte, n int)

//go:noescape
func splitF32AVX2(exponent, fraction, middle, low, src *byte, n int)

//go:noescape
func joinF32AVX2(dst, exponent, fraction, middle, low *byte, n int)

//go:noescape
func split2AVX2(high, low, src *byte, n int)

//go:noescape
func join2AVX2(dst, high, low *byte, n int)

//go:noescape
func join2AVX512(dst, high, low *byte, n int)

//go:noescape
func pairCodesAVX2(dst, src *byte, codes *Codes, n int) (escapes int)

//go:noescape
func unpairCodesAVX2(dst, src *byte, values *[16]byte, n int)
