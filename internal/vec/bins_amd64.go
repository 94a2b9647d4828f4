//go:build !noasm

package vec

import "math"

func bitRangeSIMD(s []float32) (n int, least, most uint32) {
	n = blocks(len(s))
	if n == 0 {
		return 0, math.MaxUint32, 0
	}
	least, most = bitRangeAVX2(&s[0], n)
	return n, least, most
}

func binsSIMD(bins []uint16, s []float32, base uint32, shift uint) int {
	n := blocks(len(s))
	switch {
	case n == 0:
	case level == AVX512:
		binsAVX512(&bins[0], &s[0], n, base, uint64(shift&31))
	default:
		binsAVX2(&bins[0], &s[0], n, base, uint64(shift&31))
	}
	return n
}

func countBinsSIMD(even, odd []uint32, bins []uint16) int {
	n := blocks(len(bins))
	if n > 0 {
		countBinsAVX2(&even[0], &odd[0], &bins[0], n)
	}
	return n
}

func settleSIMD(kept, open []uint32, x []int32, bins []uint16, limits []Limits) int {
	n := len(bins) / 64
	if n == 0 || level == Portable {
		return 0
	}
	settleAVX2(&kept[0], &open[0], &x[0], &bins[0], &limits[0], n)
	return 2 * n
}

func addLimitsSIMD(limits []Limits, first, odd []uint32, base, step, slack float64) (n int, before uint32) {
	if n = len(first) &^ 7; n == 0 || level == Portable {
		return 0, 0
	}
	return n, addLimitsAVX2(&limits[0], &first[0], &odd[0], n, base, step, base-step+slack)
}

// These take n scores, n a positive multiple of block.

// bitRangeAVX2 returns the least of bits − 1, where 0 wraps around, and the most of bits.
//
//go:noescape
func bitRangeAVX2(s *float32, n int) (least, most uint32)

//go:noescape
func binsAVX2(bins *uint16, s *float32, n int, base uint32, shift uint64)

//go:noescape
func binsAVX512(bins *uint16, s *float32, n int, base uint32, shift uint64)

// countBinsAVX2 takes n bins, n a positive multiple of block.
//
//go:noescape
func countBinsAVX2(even, odd *uint32, bins *uint16, n int)

// settleAVX2 takes n times 64 elements, n positive.
//
//go:noescape
func settleAVX2(kept, open *uint32, x *int32, bins *uint16, limits *Limits, n int)

// addLimitsAVX2 takes n bins, n a positive multiple of 8; the last limit of a bin is last + step·(its last rank + 1). It
// returns how many elements they have.
//
//go:noescape
func addLimitsAVX2(limits *Limits, first, odd *uint32, n int, base, step, last float64) (before uint32)
