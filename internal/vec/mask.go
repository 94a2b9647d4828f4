package vec

import "math"

// Masks have one bit for each element, 32 to a word, the first in the lowest bit. That of n elements
// has at least n/32 words, rounded up; the bits behind the last element are not looked at.

// words is how many words the mask of n elements takes.
func words(n int) int { return (n + 31) / 32 }

// AtMost fills a mask with which elements of x are at most last. There are 32 for each word.
func AtMost(mask []uint32, x []int32, last int32) {
	x = x[:32*len(mask)]
	n := atMostSIMD(mask, x, last)
	for mask, x = mask[n:], x[32*n:]; len(mask) > 0; mask, x = mask[1:], x[32:] {
		word := uint32(0)
		for i, v := range x[:32] {
			word |= uint32(bit(v <= last)) << i
		}
		mask[0] = word
	}
}

// HasBits fills a mask with which elements have any of the bits; behind the last one it has zeros.
func HasBits(mask []uint32, x []float32, bits uint32) {
	mask = mask[:words(len(x))]
	n := hasBitsSIMD(mask, x, bits)
	clear(mask[n:])
	for i := 32 * n; i < len(x); i++ {
		mask[i/32] |= uint32(bit(math.Float32bits(x[i])&bits != 0)) << (i % 32)
	}
}

// SelectBits keeps x where the mask has a one, and sets it to +0 elsewhere.
func SelectBits[T Float](x []T, mask []uint32) {
	mask = mask[:words(len(x))]
	for i := selectBitsSIMD(x, mask); i < len(x); i++ {
		x[i] = keep(uint64(mask[i/32]>>(i%32)&1), x[i])
	}
}

// SumAbsBits returns Σ |x| over all elements and over those where the mask has a one: [SumAbs],
// then SumAbs of what [SelectBits] keeps.
func SumAbsBits[T Float](x []T, mask []uint32) (all, kept float64) {
	mask = mask[:words(len(x))]
	var a, k lanes
	for i := sumAbsBitsSIMD(&a, &k, x, mask); i < len(x); i++ {
		v := math.Abs(float64(x[i]))
		a[i%len(a)] += v
		k[i%len(k)] += keep(uint64(mask[i/32]>>(i%32)&1), v)
	}
	return a.fold(), k.fold()
}
