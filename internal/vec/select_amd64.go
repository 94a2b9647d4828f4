//go:build !noasm

package vec

func selectSIMD[T Float](x []T, s []float32, t float32) (n, kept int) {
	n = float32Blocks(x)
	switch {
	case n == 0:
	case level == AVX512:
		kept = selectAVX512(float32s(x), &s[0], n, t)
	default:
		kept = selectAVX2(float32s(x), &s[0], n, t)
	}
	return n, kept
}

func selectAxpySIMD[T Float](acc []T, w T, x []T, s []float32, t float32) (n, kept int) {
	n = float32Blocks(acc)
	switch {
	case n == 0:
	case level == AVX512:
		kept = selectAxpyAVX512(float32s(acc), float32s(x), &s[0], n, float32(w), t)
	default:
		kept = selectAxpyAVX2(float32s(acc), float32s(x), &s[0], n, float32(w), t)
	}
	return n, kept
}

func countAtLeastSIMD(s []float32, t float32) (n, kept int) {
	n = blocks(len(s))
	switch {
	case n == 0:
	case level == AVX512:
		kept = countAtLeastAVX512(&s[0], n, t)
	default:
		kept = countAtLeastAVX2(&s[0], n, t)
	}
	return n, kept
}

func selectSizeSIMD[T Float](x []T, low, high float32) int {
	n := float32Blocks(x)
	switch {
	case n == 0:
	case level == AVX512:
		selectSizeAVX512(float32s(x), n, low, high)
	default:
		selectSizeAVX2(float32s(x), n, low, high)
	}
	return n
}

//go:noescape
func selectSizeAVX2(x *float32, n int, low, high float32)

//go:noescape
func selectSizeAVX512(x *float32, n int, low, high float32)

// All others take n scores, n a positive multiple of block, and keep those that are at
// least t. That they are positive is what [floor] has made of t.

//go:noescape
func selectAVX2(x, s *float32, n int, t float32) (kept int)

//go:noescape
func selectAVX512(x, s *float32, n int, t float32) (kept int)

//go:noescape
func selectAxpyAVX2(acc, x, s *float32, n int, w, t float32) (kept int)

//go:noescape
func selectAxpyAVX512(acc, x, s *float32, n int, w, t float32) (kept int)

//go:noescape
func countAtLeastAVX2(s *float32, n int, t float32) (kept int)

//go:noescape
func countAtLeastAVX512(s *float32, n int, t float32) (kept int)
