//go:build !noasm

package vec

// block is how many elements assembly takes at a time: a pass of its loops, or two.
// They have no tail; what does not fill a block is left to the reference.
const block = 32

// blocks is how many of n elements assembly takes.
func blocks(n int) int {
	if level == Portable {
		return 0
	}
	return n &^ (block - 1)
}

func decodeF16SIMD(dst []float32, src []byte) int {
	n := blocks(len(dst))
	if n > 0 {
		decodeF16AVX2(&dst[0], &src[0], n)
	}
	return n
}

func decodeF8E4M3SIMD(dst []float32, src []byte) int {
	n := blocks(len(dst))
	if n > 0 {
		decodeF8E4M3AVX2(&dst[0], &src[0], n)
	}
	return n
}

func decodeF8E5M2SIMD(dst []float32, src []byte) int {
	n := blocks(len(dst))
	if n > 0 {
		decodeF8E5M2AVX2(&dst[0], &src[0], n)
	}
	return n
}

func widenSIMD(dst []float64, src []float32) int {
	n := blocks(len(dst))
	if n > 0 {
		widenAVX2(&dst[0], &src[0], n)
	}
	return n
}

func narrowSIMD(dst []float32, src []float64) int {
	n := blocks(len(dst))
	switch {
	case n == 0:
	case level == AVX512:
		narrowAVX512(&dst[0], &src[0], n)
	default:
		narrowAVX2(&dst[0], &src[0], n)
	}
	return n
}

// n is a multiple of block and not 0. Those without AVX-512 were not faster with
// it where operands sit in L2; in L1 bfloat16 and binary16 were, by a tenth.

//go:noescape
func decodeF16AVX2(dst *float32, src *byte, n int)

//go:noescape
func decodeF8E4M3AVX2(dst *float32, src *byte, n int)

//go:noescape
func decodeF8E5M2AVX2(dst *float32, src *byte, n int)

//go:noescape
func widenAVX2(dst *float64, src *float32, n int)

//go:noescape
func narrowAVX2(dst *float32, src *float64, n int)

//go:noescape
func narrowAVX512(dst *float32, src *float64, n int)
