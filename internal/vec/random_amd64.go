//go:build !noasm

package vec

// AVX-512 has not been measured here; its level takes AVX2.

func randomSIMD(x []int32, key, block uint64) int {
	n := blocks(len(x))
	if n > 0 {
		var keys philoxKeys
		keys.expand(key)
		randomAVX2(&x[0], &keys, philoxCounters*block, n/RandomBlock)
	}
	return n
}

// randomMaskSIMD returns how many blocks it made, before one in which a half is equal to below.
func randomMaskSIMD(mask []uint32, key, block uint64, below int16) int {
	n := len(mask) / 2
	if level == Portable || n == 0 {
		return 0
	}
	var keys philoxKeys
	keys.expand(key)
	return randomMaskAVX2(&mask[0], &keys, maskCounters|philoxCounters*block, n, uint64(uint16(below)))
}

// These draw blocks, at least one, from a counter on.

//go:noescape
func randomAVX2(x *int32, keys *philoxKeys, counter uint64, blocks int)

// randomMaskAVX2 returns how many it made.
//
//go:noescape
func randomMaskAVX2(mask *uint32, keys *philoxKeys, counter uint64, blocks int, below uint64) int
