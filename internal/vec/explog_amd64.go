//go:build !noasm

package vec

func exponentialsSIMD[T Float](dst []float64, x []T, shift float64) int {
	n := float32Blocks(x)
	if n > 0 {
		exponentialsAVX2(&dst[0], float32s(x), n, shift)
	}
	return n
}

func entropyTermsSIMD(dst, p, q []float64, toP, toQ, least float64) int {
	n := blocks(len(dst))
	if n > 0 {
		entropyTermsAVX2(&dst[0], &p[0], &q[0], n, toP, toQ, least)
	}
	return n
}

// n is a positive multiple of block.

//go:noescape
func exponentialsAVX2(dst *float64, x *float32, n int, shift float64)

//go:noescape
func entropyTermsAVX2(dst, p, q *float64, n int, toP, toQ, least float64)
