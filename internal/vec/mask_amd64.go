//go:build !noasm

package vec

func atMostSIMD(mask []uint32, x []int32, last int32) int {
	if level == Portable || len(mask) == 0 {
		return 0
	}
	if level == AVX512 {
		atMostAVX512(&mask[0], &x[0], len(mask), last)
	} else {
		atMostAVX2(&mask[0], &x[0], len(mask), last)
	}
	return len(mask)
}

func hasBitsSIMD(mask []uint32, x []float32, bits uint32) int {
	n := blocks(len(x)) / 32
	switch {
	case n == 0:
	case level == AVX512:
		hasBitsAVX512(&mask[0], &x[0], n, bits)
	default:
		hasBitsAVX2(&mask[0], &x[0], n, bits)
	}
	return n
}

func selectBitsSIMD[T Float](x []T, mask []uint32) int {
	n := float32Blocks(x)
	switch {
	case n == 0:
	case level == AVX512:
		selectBitsAVX512(float32s(x), &mask[0], n)
	default:
		selectBitsAVX2(float32s(x), &mask[0], n)
	}
	return n
}

func sumAbsBitsSIMD[T Float](all, kept *lanes, x []T, mask []uint32) int {
	n := float32Blocks(x)
	switch {
	case n == 0:
	case level == AVX512:
		sumAbsBitsAVX512(all, kept, float32s(x), &mask[0], n)
	default:
		sumAbsBitsAVX2(all, kept, float32s(x), &mask[0], n)
	}
	return n
}

// These fill words, at least one.

//go:noescape
func atMostAVX2(mask *uint32, x *int32, words int, last int32)

//go:noescape
func atMostAVX512(mask *uint32, x *int32, words int, last int32)

//go:noescape
func hasBitsAVX2(mask *uint32, x *float32, words int, bits uint32)

//go:noescape
func hasBitsAVX512(mask *uint32, x *float32, words int, bits uint32)

// These take n elements, n a positive multiple of block.

//go:noescape
func selectBitsAVX2(x *float32, mask *uint32, n int)

//go:noescape
func selectBitsAVX512(x *float32, mask *uint32, n int)

//go:noescape
func sumAbsBitsAVX2(all, kept *lanes, x *float32, mask *uint32, n int)

//go:noescape
func sumAbsBitsAVX512(all, kept *lanes, x *float32, mask *uint32, n int)
