//go:build !noasm

package vec

// insideSIMD marks whole words. It returns how many scores it looked at, and how many of them are inside.
func insideSIMD(marks []uint64, s []float32, low, high float32) (seen, n int) {
	seen = len(s) &^ 63
	switch {
	case seen == 0:
		return 0, 0
	case level >= AVX512:
		n = insideAVX512(&marks[0], &s[0], seen, low, high)
	case level >= AVX2:
		n = insideAVX2(&marks[0], &s[0], seen, low, high)
	default:
		seen = 0
	}
	return seen, n
}

//go:noescape
func insideAVX2(marks *uint64, s *float32, n int, low, high float32) int

//go:noescape
func insideAVX512(marks *uint64, s *float32, n int, low, high float32) int
