package fuse

import (
	"hash/fnv"
	"math"
)

// noise is a sequence of random numbers, each computed from its index alone: an element of a
// model's tensor has the same one in every run, stage, tile and thread.
type noise uint64

// newNoise is the sequence of one model's tensor.
func newNoise(seed uint64, model int, tensor string) noise {
	name := fnv.New64a()
	name.Write([]byte(tensor))
	return noise(mix(mix(mix(seed)+uint64(model)) + name.Sum64()))
}

// mix is the step of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
// Generators, 2014), a permutation of the 64-bit numbers.
func mix(x uint64) uint64 {
	x += increment
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// increment is 2⁶⁴ over the golden ratio.
const increment = 0x9e3779b97f4a7c15

// fill fills x with the numbers from index at on. They are uniform in [1, 2), in steps of 2⁻²³:
// one is at least 2 − p with probability p.
func (n noise) fill(x []float32, at int64) {
	if at&1 == 1 && len(x) > 0 {
		x[0] = fraction(n.word(at>>1) >> 41)
		x, at = x[1:], at+1
	}
	i := at >> 1
	for ; len(x) >= 2; i++ {
		w := n.word(i)
		x[0], x[1] = fraction(w>>9), fraction(w>>41)
		x = x[2:]
	}
	if len(x) == 1 {
		x[0] = fraction(n.word(i) >> 9)
	}
}

// word has the bits of the numbers 2i and 2i + 1.
func (n noise) word(i int64) uint64 { return mix(uint64(n) + uint64(i)*increment) }

// fraction is 1 and the 23 low bits of w behind the point.
func fraction(w uint64) float32 { return math.Float32frombits(0x3f800000 | uint32(w)&0x7fffff) }
