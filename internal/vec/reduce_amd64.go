//go:build !noasm

package vec

// AVX-512 is left out. It measures slower: a sum waits for additions and conversions,
// and these take longer in 512 bits.

func sumSIMD[T Float](l *lanes, x []T) int {
	n := blocks(len(x))
	if n > 0 {
		switch x := any(x).(type) {
		case []float32:
			sumAVX2(l, &x[0], nil, n)
		case []float64:
			sum64AVX2(l, &x[0], nil, n)
		}
	}
	return n
}

func sumAbsSIMD[T Float](l *lanes, x []T) int {
	n := float32Blocks(x)
	if n > 0 {
		sumAbsAVX2(l, float32s(x), nil, n)
	}
	return n
}

func sumSquaresSIMD[T Float](l *lanes, x []T) int {
	n := float32Blocks(x)
	if n > 0 {
		sumSquaresAVX2(l, float32s(x), nil, n)
	}
	return n
}

func dotSIMD[T Float](l *lanes, a, b []T) int {
	n := float32Blocks(a)
	if n > 0 {
		dotAVX2(l, float32s(a), float32s(b), n)
	}
	return n
}

func maxSIMD(x []float32, start float32) (n int, most float32) {
	n = blocks(len(x))
	if n == 0 {
		return 0, start
	}
	return n, maxAVX2(&x[0], n, start)
}

func minSIMD(x []float32, start float32) (n int, least float32) {
	n = blocks(len(x))
	if n == 0 {
		return 0, start
	}
	return n, minAVX2(&x[0], n, start)
}

// The sums add terms of n elements to the lanes, n a positive multiple of block. Only
// dotAVX2 looks at b.

//go:noescape
func sumAVX2(l *lanes, a, b *float32, n int)

//go:noescape
func sum64AVX2(l *lanes, a, b *float64, n int)

//go:noescape
func sumAbsAVX2(l *lanes, a, b *float32, n int)

//go:noescape
func sumSquaresAVX2(l *lanes, a, b *float32, n int)

//go:noescape
func dotAVX2(l *lanes, a, b *float32, n int)

// The extremes are those of n elements and of start, which is not NaN.

//go:noescape
func maxAVX2(x *float32, n int, start float32) (extreme float32)

//go:noescape
func minAVX2(x *float32, n int, start float32) (extreme float32)
