//go:build !noasm

package vec

func randomSIMD(x []int32, key, block uint64) int {
	n := blocks(len(x))
	if n == 0 {
		return 0
	}
	var keys philoxKeys
	keys.expand(key)
	pairs := 0
	if level == AVX512 {
		pairs = n / (2 * RandomBlock)
	}
	if pairs > 0 {
		randomAVX512(&x[0], &keys, philoxCounters*block, pairs)
	}
	if done := 2 * pairs * RandomBlock; done < n {
		randomAVX2(&x[done], &keys, philoxCounters*(block+2*uint64(pairs)), (n-done)/RandomBlock)
	}
	return n
}

// randomMaskSIMD returns how many blocks it made, before one in which a half is equal to below, or before a pair of which one has that.
func randomMaskSIMD(mask []uint32, key, block uint64, below int16) int {
	n := len(mask) / 2
	if level == Portable || n == 0 {
		return 0
	}
	var keys philoxKeys
	keys.expand(key)
	counter, least, made := maskCounters|philoxCounters*block, uint64(uint16(below)), 0
	if level == AVX512 && n > 1 {
		made = 2 * randomMaskAVX512(&mask[0], &keys, counter, n/2, least)
		if made < n-1 || made == n {
			return made
		}
	}
	return made + randomMaskAVX2(&mask[2*made], &keys, counter+philoxCounters*uint64(made), n-made, least)
}

// These draw blocks, or pairs of them, at least one, from a counter on.

//go:noescape
func randomAVX2(x *int32, keys *philoxKeys, counter uint64, blocks int)

//go:noescape
func randomAVX512(x *int32, keys *philoxKeys, counter uint64, pairs int)

// The masks return how many they made.

//go:noescape
func randomMaskAVX2(mask *uint32, keys *philoxKeys, counter uint64, blocks int, below uint64) int

//go:noescape
func randomMaskAVX512(mask *uint32, keys *philoxKeys, counter uint64, pairs int, below uint64) int
