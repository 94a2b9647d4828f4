//go:build !noasm

package vec

// belowSIMD counts what is larger, or equal and not before, among the first n.
func belowSIMD(s []float32, i int) (n, others int) {
	n = blocks(len(s))
	if n > 0 {
		others = belowAVX2(&s[0], n, min(i, n), s[i])
	}
	return n, others
}

// n is a positive multiple of block; i is at most n.
//
//go:noescape
func belowAVX2(s *float32, n, i int, v float32) (others int)
