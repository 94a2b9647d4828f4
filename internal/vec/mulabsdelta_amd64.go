//go:build !noasm

package vec

func mulAbsDeltaBF16SIMD(dst []float32, x, base, a []byte) int {
	n := blocks(len(dst))
	switch {
	case n == 0:
	case level == AVX512:
		mulAbsDeltaBF16AVX512(&dst[0], &x[0], &base[0], &a[0], n)
	default:
		mulAbsDeltaBF16AVX2(&dst[0], &x[0], &base[0], &a[0], n)
	}
	return n
}

// n is a positive multiple of block.

//go:noescape
func mulAbsDeltaBF16AVX2(dst *float32, x, base, a *byte, n int)

//go:noescape
func mulAbsDeltaBF16AVX512(dst *float32, x, base, a *byte, n int)
