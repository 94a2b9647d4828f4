package sparsify

import (
	"hash/fnv"
	"math"

	"weld/internal/vec"
)

// Noise is a sequence of random numbers, each computed from its index alone: an element of a
// model's tensor has the same one in every run, stage, tile and thread. It is the key of [vec.Random] and
// [vec.RandomMask].
type Noise uint64

// NewNoise is the sequence of one model's tensor.
func NewNoise(seed uint64, model int, tensor string) Noise {
	name := fnv.New64a()
	name.Write([]byte(tensor))
	return Noise(mix(mix(mix(seed)+uint64(model)) + name.Sum64()))
}

// mix is the step of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
// Generators, 2014), a permutation of the 64-bit numbers.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15 // 2⁶⁴ over the golden ratio
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// atMost is the largest number that keeps an element with probability p, rounded up to a multiple
// of 2⁻³¹; −1 for none.
func atMost(p float64) int32 {
	return int32(math.Ceil(min(max(p, 0), 1)*(1<<31)) - 1)
}

// Numbers fills buffer with the numbers of the elements [lo, hi), uniform in [0, 2³¹), and returns them.
// Buffer has whole blocks for them.
func (n Noise) Numbers(buffer []int32, lo, hi int64) []int32 {
	first, end := blocksOf(lo, hi, vec.RandomBlock)
	vec.Random(buffer[:(end-first)*vec.RandomBlock], uint64(n), uint64(first))
	return buffer[lo-first*vec.RandomBlock:][:hi-lo]
}

// Mask fills buffer with a mask of the elements [lo, hi) that has ones with probability p, rounded to a
// multiple of 2⁻⁴⁷, and returns it. Buffer has whole blocks for them.
func (n Noise) Mask(buffer []uint32, lo, hi int64, p float64) []uint32 {
	first, end := blocksOf(lo, hi, vec.MaskBlock)
	buffer = buffer[:(end-first)*vec.MaskBlock/32]
	high := min(math.Floor(p*(1<<16)), 1<<16-1)
	vec.RandomMask(buffer, uint64(n), uint64(first), int16(high-1<<15), atMost(p*(1<<16)-high))
	at := lo - first*vec.MaskBlock
	return advance(buffer, buffer[at/32:], int(at%32))
}

// blocksOf is the blocks [first, end) of some size that the elements [lo, hi) are in.
func blocksOf(lo, hi, size int64) (first, end int64) { return lo / size, (hi + size - 1) / size }

// advance fills dst, which may be where mask is or before it, with a mask from its bit at on, at < 32.
func advance(dst, mask []uint32, at int) []uint32 {
	dst = dst[:len(mask)]
	if at == 0 {
		copy(dst, mask)
		return dst
	}
	last := len(mask) - 1
	for i := range last {
		dst[i] = mask[i]>>at | mask[i+1]<<(32-at)
	}
	dst[last] = mask[last] >> at
	return dst
}

// deposit adds a mask to dst, from the bit at on. Dst has a word more than it needs.
func deposit(dst, mask []uint32, at int) {
	dst = dst[at/32:][:len(mask)+1]
	for i, w := range mask {
		wide := uint64(w) << (at % 32)
		dst[i] |= uint32(wide)
		dst[i+1] |= uint32(wide >> 32)
	}
}

// words is how many words the mask of n elements takes.
func words(n int64) int64 { return (n + 31) / 32 }
