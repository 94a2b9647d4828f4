//go:build !noasm

package vec

// betweenSIMD does whole vectors of s. It returns how many elements it looked at, how
// many of them it copied, and how many are above those.
func betweenSIMD(dst, s []float32, low, high float32) (seen, inside, above int) {
	switch {
	case len(s) < 16:
		return 0, 0, 0
	case level >= AVX512:
		seen = len(s) &^ 15
		inside, above = betweenAVX512(&dst[0], &s[0], seen, low, high)
	case level >= AVX2:
		seen = len(s) &^ 7
		inside, above = betweenAVX2(&dst[0], &s[0], seen, low, high, &fronts)
	}
	return seen, inside, above
}

// fronts has, for each mask of eight lanes, the lanes that it has in their order, one to a byte.
var fronts = func() (order [256]uint64) {
	for mask := range order {
		at := 0
		for lane := range 8 {
			if mask>>lane&1 == 1 {
				order[mask] |= uint64(lane) << (8 * at)
				at++
			}
		}
	}
	return order
}()

//go:noescape
func betweenAVX2(dst, s *float32, n int, low, high float32, fronts *[256]uint64) (inside, above int)

//go:noescape
func betweenAVX512(dst, s *float32, n int, low, high float32) (inside, above int)
