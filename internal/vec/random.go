package vec

import "math"

// Random numbers here are words of Philox4x32-7 (Salmon, Moraes, Dror, Shaw: Parallel Random
// Numbers: As Easy as 1, 2, 3, SC 2011; seven rounds are the fewest that its authors found to
// pass TestU01's BigCrush). It turns a key of 64 bits and a counter into four words; there is no
// state, so that a number depends on its key and its index alone.

// RandomBlock is how many numbers are drawn together. Of those of block b, number 8w + c is word w
// of counter 8b + c, which spares registers of eight a transposition.
const RandomBlock = 32

const (
	philoxRounds   = 7
	philoxM0       = 0xd2511f53 // multipliers of the words 0 and 2
	philoxM1       = 0xcd9e8d57
	philoxW0       = 0x9e3779b9 // what a round adds to the key
	philoxW1       = 0xbb67ae85
	philoxCounters = RandomBlock / 4
)

// philox is the four words of a counter, whose high half is 0.
func philox(key, counter uint64) (w0, w1, w2, w3 uint32) {
	k0, k1 := uint32(key), uint32(key>>32)
	w0, w1, w2, w3 = philoxRound(uint32(counter), uint32(counter>>32), 0, 0, k0, k1)
	w0, w1, w2, w3 = philoxRound(w0, w1, w2, w3, k0+philoxW0, k1+philoxW1)
	w0, w1, w2, w3 = philoxRound(w0, w1, w2, w3, k0+2*philoxW0&math.MaxUint32, k1+2*philoxW1&math.MaxUint32)
	w0, w1, w2, w3 = philoxRound(w0, w1, w2, w3, k0+3*philoxW0&math.MaxUint32, k1+3*philoxW1&math.MaxUint32)
	w0, w1, w2, w3 = philoxRound(w0, w1, w2, w3, k0+4*philoxW0&math.MaxUint32, k1+4*philoxW1&math.MaxUint32)
	w0, w1, w2, w3 = philoxRound(w0, w1, w2, w3, k0+5*philoxW0&math.MaxUint32, k1+5*philoxW1&math.MaxUint32)
	return philoxRound(w0, w1, w2, w3, k0+6*philoxW0&math.MaxUint32, k1+6*philoxW1&math.MaxUint32)
}

func philoxRound(w0, w1, w2, w3, k0, k1 uint32) (v0, v1, v2, v3 uint32) {
	p0, p1 := philoxM0*uint64(w0), philoxM1*uint64(w2)
	return uint32(p1>>32) ^ w1 ^ k0, uint32(p1), uint32(p0>>32) ^ w3 ^ k1, uint32(p0)
}

// philoxKeys are the keys of the rounds, each four times as assembly takes it.
type philoxKeys [philoxRounds][2][4]uint64

func (keys *philoxKeys) expand(key uint64) {
	k0, k1 := uint32(key), uint32(key>>32)
	for r := range keys {
		a, b := uint64(k0), uint64(k1)
		keys[r] = [2][4]uint64{{a, a, a, a}, {b, b, b, b}}
		k0 += philoxW0
		k1 += philoxW1
	}
}

// Random fills x with the numbers of whole blocks from the given one on. They are uniform in
// [0, 2³¹).
func Random(x []int32, key, block uint64) {
	n := randomSIMD(x, key, block)
	counter := philoxCounters * (block + uint64(n/RandomBlock))
	for x = x[n:]; len(x) >= RandomBlock; x = x[RandomBlock:] {
		x := (*[RandomBlock]int32)(x)
		for c := range philoxCounters {
			w0, w1, w2, w3 := philox(key, counter)
			x[c], x[c+philoxCounters], x[c+2*philoxCounters], x[c+3*philoxCounters] = int32(w0>>1), int32(w1>>1), int32(w2>>1), int32(w3>>1)
			counter++
		}
	}
}

// MaskBlock is how many elements of a random mask are drawn together: a half of a word decides about
// each. Of those of block b, element 16w + 2c is the low half of word w of counter 8b + c, and 16w + 2c + 1 the
// high half. These counters have the highest bit set, so that [Random] has others.
const MaskBlock = 64

const maskCounters = 1 << 63

// RandomMask fills mask, which has whole blocks from the given one on, with ones of a probability of
// (2¹⁵ + below + (last + 1)/2³¹)/2¹⁶: where a half, as a number in [−2¹⁵, 2¹⁵), is less than below, or equal
// to it and the number that [Random] has at the same index is at most last.
func RandomMask(mask []uint32, key, block uint64, below int16, last int32) {
	for len(mask) >= 2 {
		n := randomMaskSIMD(mask, key, block, below)
		if mask, block = mask[2*n:], block+uint64(n); len(mask) < 2 {
			return
		}
		mask[0], mask[1] = maskOf(key, block, below, last)
		mask, block = mask[2:], block+1
	}
}

// maskOf is one block.
func maskOf(key, block uint64, below int16, last int32) (low, high uint32) {
	var words [4][philoxCounters]uint32
	for c := range words[0] {
		words[0][c], words[1][c], words[2][c], words[3][c] = philox(key, maskCounters|philoxCounters*block+uint64(c))
	}
	ones, ties := uint64(0), uint64(0)
	for w := range words {
		for c, word := range words[w] {
			low, high, at := int16(word), int16(word>>16), 16*w+2*c
			ones |= (bit(low < below) | bit(high < below)<<1) << at
			ties |= (bit(low == below) | bit(high == below)<<1) << at
		}
	}
	if ties != 0 {
		var numbers [MaskBlock]int32
		var mask [2]uint32
		Random(numbers[:], key, MaskBlock/RandomBlock*block)
		AtMost(mask[:], numbers[:], last)
		ones |= ties & (uint64(mask[0]) | uint64(mask[1])<<32)
	}
	return uint32(ones), uint32(ones >> 32)
}
