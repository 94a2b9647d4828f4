//go:build !noasm

package vec

func decodeScaledF8E4M3SIMD(dst []float32, src []byte, scale float32) int {
	n := blocks(len(dst))
	switch {
	case n == 0:
	case level == AVX512:
		decodeScaledF8E4M3AVX512(&dst[0], &src[0], n, scale*0x1p8)
	default:
		decodeScaledF8E4M3AVX2(&dst[0], &src[0], n, scale*0x1p8)
	}
	return n
}

// n is a multiple of block and not 0; factor is the scale times 2^8.

//go:noescape
func decodeScaledF8E4M3AVX2(dst *float32, src *byte, n int, factor float32)

//go:noescape
func decodeScaledF8E4M3AVX512(dst *float32, src *byte, n int, factor float32)
