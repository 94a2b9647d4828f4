//go:build !noasm

package vec

// bf16Models is how many blocks of n elements there are in all models.
func bf16Models(n int, x [][]byte) int {
	for _, data := range x {
		_ = data[:2*n]
	}
	if len(x) == 0 {
		return 0
	}
	return blocks(n)
}

func sumBF16SIMD(dst []float32, x [][]byte, w []float32) int {
	n := bf16Models(len(dst), x)
	switch {
	case n == 0:
	case level == AVX512:
		sumBF16AVX512(&dst[0], nil, &x[0], len(x), n, &w[0], 0)
	default:
		sumBF16AVX2(&dst[0], nil, &x[0], len(x), n, &w[0], 0)
	}
	return n
}

func addDeltasBF16SIMD(dst []float32, base []byte, lambda float32, x [][]byte, w []float32) int {
	base = base[:2*len(dst)]
	n := bf16Models(len(dst), x)
	switch {
	case n == 0:
	case level == AVX512:
		addDeltasBF16AVX512(&dst[0], &base[0], &x[0], len(x), n, &w[0], lambda)
	default:
		addDeltasBF16AVX2(&dst[0], &base[0], &x[0], len(x), n, &w[0], lambda)
	}
	return n
}

// All take models slices of n elements, models at least 1, n a positive multiple of block. A sum has no base.

//go:noescape
func sumBF16AVX2(dst *float32, base *byte, x *[]byte, models, n int, w *float32, lambda float32)

//go:noescape
func sumBF16AVX512(dst *float32, base *byte, x *[]byte, models, n int, w *float32, lambda float32)

//go:noescape
func addDeltasBF16AVX2(dst *float32, base *byte, x *[]byte, models, n int, w *float32, lambda float32)

//go:noescape
func addDeltasBF16AVX512(dst *float32, base *byte, x *[]byte, models, n int, w *float32, lambda float32)
