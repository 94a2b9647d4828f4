//go:build !noasm

package vec

func gramSIMD[T Float](l *gramLanes, a, b []T) int {
	n := float32Blocks(a)
	if n > 0 {
		gramAVX2(l, float32s(a), float32s(b), n)
	}
	return n
}

func gramBF16SIMD(l *gramLanes, a, b []byte) int {
	n := blocks(len(a) / 2)
	if n > 0 {
		gramBF16AVX2(l, &a[0], &b[0], n)
	}
	return n
}

// Both add products of n elements to the lanes, n a positive multiple of block.

//go:noescape
func gramAVX2(l *gramLanes, a, b *float32, n int)

//go:noescape
func gramBF16AVX2(l *gramLanes, a, b *byte, n int)
