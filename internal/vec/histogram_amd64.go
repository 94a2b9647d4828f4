//go:build !noasm

package vec

func histogramHighSIMD(bins *[1 << 15]uint32, s []float32) int {
	n := blocks(len(s))
	if n > 0 {
		histogramHighAVX2(&bins[0], &s[0], n)
	}
	return n
}

// histogramHighAVX2 counts n scores, n a positive multiple of block.
//
//go:noescape
func histogramHighAVX2(bins *uint32, s *float32, n int)
