//go:build !noasm

package vec

func encodeHalfScaledI8SIMD(dst []byte, src []float32) int {
	n := len(src) / halfScaledElements
	if n == 0 || level < AVX2 {
		return 0
	}
	_ = dst[n*halfScaledBytes-1]
	return encodeHalfScaledI8AVX2(&dst[0], &src[0], n)
}

// n is positive.

//go:noescape
func encodeHalfScaledI8AVX2(dst *byte, src *float32, n int) (blocks int)
