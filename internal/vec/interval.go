package vec

import "math"

// Between copies the scores with low ≤ s < high to the front of dst, in order, and
// returns how many there are, and how many are above them: s ≥ high. dst is long enough for
// all of s, and may be s.
func Between(dst, s []float32, low, high float32) (inside, above int) {
	dst = dst[:len(s)]
	seen, inside, above := betweenSIMD(dst, s, low, high)
	for _, v := range s[seen:] {
		dst[inside] = v
		inside += int(bit(v >= low) & bit(v < high))
		above += int(bit(v >= high))
		if inside == len(dst) {
			break
		}
	}
	return inside, above
}

// BitKeys fills keys with (bits − base) >> shift of each score, for scores of at
// least +0 whose bits are at least base. −0 counts as +0.
func BitKeys(keys []uint32, s []float32, base uint32, shift uint) {
	keys = keys[:len(s)]
	for i, v := range s {
		keys[i] = (math.Float32bits(v)&^sign32 - base) >> (shift & 31)
	}
}
