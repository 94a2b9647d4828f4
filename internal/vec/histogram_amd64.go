//go:build !noasm

package vec

func histogramHighSIMD(bins *[1 << 15]uint32, s []float32) int {
	n := blocks(len(s))
	if n > 0 {
		histogramHighAVX2(&bins[0], &s[0], n)
	}
	return n
}

func histogramLowSIMD(bins *[1 << 16]uint32, s []float32, prefix uint32) int {
	n := blocks(len(s))
	if n > 0 {
		histogramLowAVX2(&bins[0], &s[0], n, prefix)
	}
	return n
}

// Both count n scores, n a positive multiple of block.

//go:noescape
func histogramHighAVX2(bins *uint32, s *float32, n int)

//go:noescape
func histogramLowAVX2(bins *uint32, s *float32, n int, prefix uint32)
