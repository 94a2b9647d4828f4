package sparsify

import (
	"math"
	"math/bits"

	"weld/internal/vec"
)

// rowRanks finds the ranks of magnitudes in a row: first about, by bins, then exactly for
// as many elements as need it. Of equal ones, that with the lower index has the lower rank.
type rowRanks struct {
	x      []float32
	bins   []uint16     // for each element, that of [vec.Bins]
	shift  uint         // of these
	first  []uint32     // for each bin, elements in the ones before; then the elements of all
	limits []vec.Limits // for each bin
	unsure []int32      // elements that need their rank, in order
	ranks  []int32      // of these

	next     []uint32    // for each bin, the position of its next element in sorted
	state    []binState  // for each bin
	uneven   []uint32    // mask of elements that are not the least of their bin
	position []uint32    // of each unsure element in sorted
	sorted   []float32   // the row by bins, each in the order of the row
	exact    []uint32    // for each position in a ranked bin, the rank
	keys     [2][]uint64 // of elements that are sorted: magnitude, then position
}

// rankBytes bounds what the ranking of a row of n elements takes.
func rankBytes(n int64) int64 { return n*(2+4+4+4+4+4+2*8) + 4*words(n) + (binsOf(n)+3)*(4+4+8+1) }

const (
	// mostBins is how many bins a row has at most; more do not stay in the cache.
	mostBins = 1 << 14
	// binades is how far down from the largest magnitude bins tell magnitudes apart: the
	// lowest has what is smaller.
	binades = 9
	// To count the row for each element is the fastest way for as few as these: before bins of equal
	// elements are looked for, and before others are sorted.
	fewUnsure, fewMixed = 24, 64
)

// binsOf is how many bins there are at most for n elements.
func binsOf(n int64) int64 { return min(max(n/4, 8), mostBins) }

// sort counts the elements of each bin, unless all are 0.
func (r *rowRanks) sort(x []float32) (ok bool) {
	least, most := vec.BitRange(x)
	if most == 0 {
		return false
	}
	r.x, r.bins = x, grown(r.bins, int64(len(x)))
	near := max(least, max(most, binades<<23)-binades<<23)
	r.count(near, most)
	if low := r.first[1] + r.next[1]; near > least && int(low) > len(x)/16 {
		r.count(least, most) // what is largest is so by far
	}
	return true
}

// count counts the elements of each bin, if there are bins from the magnitudes with the bits least to those
// with most.
func (r *rowRanks) count(least, most uint32) {
	least, most, r.shift = least-1, most-1, 0
	for limit := uint32(binsOf(int64(len(r.x)))) - 2; most>>r.shift-least>>r.shift > limit; r.shift++ {
	}
	vec.Bins(r.bins, r.x, least>>r.shift, r.shift)
	bins := int64(most>>r.shift-least>>r.shift) + 2
	r.first, r.next, r.limits = grown(r.first, bins+1), grown(r.next, bins+1), grown(r.limits, bins+1)
	clear(r.first)
	clear(r.next)
	vec.CountBins(r.first, r.next, r.bins)
}

// find ranks the elements that a mask has, but for zeros.
func (r *rowRanks) find(open []uint32) {
	n := int64(len(r.x))
	r.unsure = grown(r.unsure, n+1)[:0]
	for w, left := range open {
		for ; left != 0; left &= left - 1 {
			if i := 32*w + bits.TrailingZeros32(left); r.bins[i] > 0 {
				r.unsure = append(r.unsure, int32(i))
			}
		}
	}
	r.ranks = grown(r.ranks, n)[:len(r.unsure)]
	left := len(r.unsure)
	if left > fewUnsure {
		left = r.rankAlike()
	} else {
		for u := range r.ranks {
			r.ranks[u] = -1
		}
	}
	if left > fewMixed {
		r.sortByBin()
	}
	for u, rank := range r.ranks {
		switch {
		case rank >= 0:
		case left > fewMixed:
			r.ranks[u] = r.inBin(u)
		default:
			r.ranks[u] = int32(vec.Below(r.x, int(r.unsure[u])))
		}
	}
}

// rankAlike ranks unsure elements of bins in which all are equal, and sets the ranks of others to -1. It returns how
// many these are. Differences of bfloat16 are mostly of the first rule.
//
// Such a bin has numbers that end in zeros, because it has just one of these: but for the lowest bin, which has
// all smaller ones.
func (r *rowRanks) rankAlike() (left int) {
	r.state = grown(r.state, int64(len(r.first)))
	clear(r.state)
	r.state[1] = mixed
	r.uneven = grown(r.uneven, words(int64(len(r.x))))
	vec.HasBits(r.uneven, r.x, 1<<r.shift-1)
	for w, left := range r.uneven {
		for ; left != 0; left &= left - 1 {
			r.state[r.bins[32*w+bits.TrailingZeros32(left)]] = mixed
		}
	}
	clear(r.next)
	at := int32(0)
	for u, i := range r.unsure {
		bin := r.bins[i]
		vec.CountBins(r.next, r.next, r.bins[at:i])
		at = i
		if r.ranks[u] = int32(r.first[bin] + r.next[bin]); r.state[bin] == mixed {
			r.ranks[u] = -1
			left++
		}
	}
	return left
}

// binState is what is known about the elements of a bin.
type binState uint8

const (
	unknown binState = iota
	alike            // they are equal
	mixed            // few, and not equal
	settled          // exact has their ranks
)

// sortByBin makes sorted, and finds the positions of the unsure elements in it.
func (r *rowRanks) sortByBin() {
	n := int64(len(r.x))
	r.sorted, r.position, r.state = grown(r.sorted, n), grown(r.position, n+1)[:0], grown(r.state, int64(len(r.first)))
	clear(r.state)
	copy(r.next, r.first)
	next, sorted, at := r.next, r.sorted, 0
	for _, i := range append(r.unsure, int32(n-1)) { // the row ends with the last
		var position uint32
		for ; at <= int(i); at++ {
			c := r.bins[at]
			position = next[c]
			sorted[position] = r.x[at]
			next[c] = position + 1
		}
		r.position = append(r.position, position)
	}
}

// inBin is the rank of an unsure element by its position in sorted.
func (r *rowRanks) inBin(u int) int32 {
	bin, position := r.bins[r.unsure[u]], r.position[u]
	first := r.first[bin]
	inside := r.sorted[first:r.first[bin+1]]
	if r.state[bin] == unknown {
		r.state[bin] = r.look(inside, first)
	}
	switch r.state[bin] {
	case mixed:
		return int32(first) + int32(vec.Below(inside, int(position-first)))
	case settled:
		return int32(r.exact[position])
	}
	return int32(position)
}

// look finds out about the elements of a bin. If they are many and not equal, it sorts them.
func (r *rowRanks) look(inside []float32, first uint32) binState {
	const few = 256
	switch least, most := vec.BitRange(inside); {
	case least == most:
		return alike
	case len(inside) <= few:
		return mixed
	}
	r.exact, r.keys[0] = grown(r.exact, int64(len(r.x))), grown(r.keys[0], int64(len(inside)))[:0]
	for i, v := range inside {
		r.keys[0] = append(r.keys[0], uint64(math.Float32bits(v))<<32|uint64(i))
	}
	r.keys[1] = grown(r.keys[1], int64(len(inside)))
	for rank, key := range radixSort(r.keys[0], r.keys[1]) {
		r.exact[first+uint32(key)] = first + uint32(rank)
	}
	return settled
}

// Digits of a radix sort over the 31 bits of a magnitude.
const (
	digits    = 3
	digitBits = 11
)

func digit(key uint64, i int) uint64 { return key >> (32 + i*digitBits) & (1<<digitBits - 1) }

// radixSort sorts keys by their upper half, equal ones as they come. The result is in one of both.
func radixSort(keys, buffer []uint64) []uint64 {
	var counts [digits][1 << digitBits]uint32
	for _, key := range keys {
		for i := range counts {
			counts[i][digit(key, i)]++
		}
	}
	for i := range counts {
		if int(counts[i][digit(keys[0], i)]) == len(keys) {
			continue // all have the same digit
		}
		at := uint32(0)
		for d, n := range counts[i] {
			counts[i][d] = at
			at += n
		}
		for _, key := range keys {
			d := digit(key, i)
			buffer[counts[i][d]] = key
			counts[i][d]++
		}
		keys, buffer = buffer, keys
	}
	return keys
}
