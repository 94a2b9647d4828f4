package vec

import (
	"math"
	"math/bits"
)

// Scores that are ranked fall into bins by their leading bits. Zeros have the first bin for
// themselves, because there may be many.

// BitRange returns the bits of the least of the scores that are not 0, and of the largest score; 0
// for both if there is none but 0. Scores are at least +0.
func BitRange(s []float32) (least, most uint32) {
	n, least, most := bitRangeSIMD(s)
	for _, v := range s[n:] {
		b := math.Float32bits(v)
		least, most = min(least, b-1), max(most, b) // 0 wraps around
	}
	return least + 1, most
}

// Bins fills bins with 0 for scores of 0, and 1 + max(0, ((bits − 1) >> shift) − base) for others.
// Scores are at least +0, and none has a bin that 16 bits cannot hold.
func Bins(bins []uint16, s []float32, base uint32, shift uint) {
	s = s[:len(bins)]
	n := binsSIMD(bins, s, base, shift)
	bins, s = bins[n:], s[n:]
	for i, v := range s {
		b := int32(math.Float32bits(v)) - 1
		bins[i] = uint16((max(b>>(shift&31), int32(base)) - int32(base) + 1) &^ (b >> 31))
	}
}

// CountBins counts the elements of each bin, those of even indexes in one table and those of odd ones in
// another: neighbours often have the same bin, and an increment waits for the last one of the same count.
// Both tables are long enough for every bin.
func CountBins(even, odd []uint32, bins []uint16) {
	bins = bins[countBinsSIMD(even, odd, bins):]
	for ; len(bins) >= 2; bins = bins[2:] {
		even[bins[0]]++
		odd[bins[1]]++
	}
	if len(bins) > 0 {
		even[bins[0]]++
	}
}

// Limits are the largest number that is certain to be kept, and the largest that may be.
type Limits [2]int32

// Settle decides about elements by the bins they are in: of those open, it keeps those whose number x is at
// most the first limit of the bin, drops those whose number is above the second, and leaves others open. Kept
// is 0 where open is 1. There are limits for every bin.
func Settle(kept, open []uint32, x []int32, bins []uint16, limits []Limits) {
	open = open[:words(len(bins))]
	kept, x = kept[:len(open)], x[:len(bins)]
	for w := settleSIMD(kept, open, x, bins, limits); w < len(open); w++ {
		sure, maybe := uint32(0), uint32(0)
		for rest := open[w]; rest != 0; rest &= rest - 1 {
			i := 32*w + bits.TrailingZeros32(rest)
			lowest, limit := rest&-rest, &limits[bins[i]]
			sure |= lowest & -uint32(bit(x[i] <= limit[0]))
			maybe |= lowest & -uint32(bit(x[i] <= limit[1]))
		}
		kept[w] |= sure
		open[w] = maybe &^ sure
	}
}

// AddLimits makes of the counts of bins, in two tables as of [CountBins], how many elements the bins before each
// have, which it leaves in first, and the limits of each bin: base + step·rank of its first rank, and slack
// more of its last, between −1 and the largest number. Ranks begin with 0.
func AddLimits(limits []Limits, first, odd []uint32, base, step, slack float64) {
	odd, limits = odd[:len(first)], limits[:len(first)]
	at, before := addLimitsSIMD(limits, first, odd, base, step, slack)
	for c := at; c < len(first); c++ {
		n := first[c] + odd[c]
		first[c] = before
		limits[c][0] = numberOf(float64(float64(before)*step) + base)
		before += n
		limits[c][1] = numberOf(float64(float64(before)*step) + (base - step + slack))
	}
}

// numberOf is a limit as a number.
func numberOf(limit float64) int32 { return int32(min(max(limit, -1), math.MaxInt32)) }
