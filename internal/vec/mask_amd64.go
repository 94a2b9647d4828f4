//go:build !noasm

package vec

// AVX-512 has not been measured here; its level takes AVX2.

func atMostSIMD(mask []uint32, x []int32, last int32) int {
	if level == Portable || len(mask) == 0 {
		return 0
	}
	atMostAVX2(&mask[0], &x[0], len(mask), last)
	return len(mask)
}

func hasBitsSIMD(mask []uint32, x []float32, bits uint32) int {
	n := blocks(len(x)) / 32
	if n > 0 {
		hasBitsAVX2(&mask[0], &x[0], n, bits)
	}
	return n
}

func selectBitsSIMD[T Float](x []T, mask []uint32) int {
	n := float32Blocks(x)
	if n > 0 {
		selectBitsAVX2(float32s(x), &mask[0], n)
	}
	return n
}

func sumAbsBitsSIMD[T Float](all, kept *lanes, x []T, mask []uint32) int {
	n := float32Blocks(x)
	if n > 0 {
		sumAbsBitsAVX2(all, kept, float32s(x), &mask[0], n)
	}
	return n
}

// These fill words, at least one.

//go:noescape
func atMostAVX2(mask *uint32, x *int32, words int, last int32)

//go:noescape
func hasBitsAVX2(mask *uint32, x *float32, words int, bits uint32)

// These take n elements, n a positive multiple of block.

//go:noescape
func selectBitsAVX2(x *float32, mask *uint32, n int)

//go:noescape
func sumAbsBitsAVX2(all, kept *lanes, x *float32, mask *uint32, n int)
