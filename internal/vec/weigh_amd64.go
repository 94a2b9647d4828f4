//go:build !noasm

package vec

func weighSIMD[T Float](dst []float32, x []T, w float64) int {
	n := float32Blocks(x)
	if n > 0 {
		weighAVX2(&dst[0], float32s(x), n, w)
	}
	return n
}

// n is a positive multiple of block.
//
//go:noescape
func weighAVX2(dst, x *float32, n int, w float64)
