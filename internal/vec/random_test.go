package vec

import (
	"math"
	"math/bits"
	"slices"
	"testing"
	"unsafe"
)

// philoxReference is Philox4x32 as its paper has it, of a whole counter.
func philoxReference(rounds int, w [4]uint32, key [2]uint32) [4]uint32 {
	for range rounds {
		high0, low0 := bits.Mul32(0xd2511f53, w[0])
		high1, low1 := bits.Mul32(0xcd9e8d57, w[2])
		w = [4]uint32{high1 ^ w[1] ^ key[0], low1, high0 ^ w[3] ^ key[1], low0}
		key = [2]uint32{key[0] + 0x9e3779b9, key[1] + 0xbb67ae85}
	}
	return w
}

// guardedOf is n elements that end where a page begins that must not be touched.
func guardedOf[E any](n int) []E {
	b := guarded(n * int(unsafe.Sizeof(*new(E))))
	return unsafe.Slice((*E)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

// These are vectors that the authors published with Random123 (kat_vectors).
func TestPhilox(t *testing.T) {
	const all = math.MaxUint32
	for _, c := range []struct {
		rounds  int
		counter [4]uint32
		key     [2]uint32
		want    [4]uint32
	}{
		{7, [4]uint32{}, [2]uint32{}, [4]uint32{0x5f6fb709, 0x0d893f64, 0x4f121f81, 0x4f730a48}},
		{7, [4]uint32{all, all, all, all}, [2]uint32{all, all}, [4]uint32{0x5207ddc2, 0x45165e59, 0x4d8ee751, 0x8c52f662}},
		{7, [4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [2]uint32{0xa4093822, 0x299f31d0},
			[4]uint32{0x4dfccaba, 0x190a87f0, 0xc47362ba, 0xb6b5242a}},
		{10, [4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
	} {
		if got := philoxReference(c.rounds, c.counter, c.key); got != c.want {
			t.Errorf("%d rounds of %x: %x, want %x", c.rounds, c.counter, got, c.want)
		}
	}
}

// randomReference is the number at an index, and halfReference the half that decides about an element.
func randomReference(key, at uint64) int32 {
	c := at/RandomBlock*philoxCounters + at%philoxCounters
	return int32(wordReference(key, c)[at%RandomBlock/philoxCounters] >> 1)
}

func halfReference(key, at uint64) int16 {
	c := 1<<63 + at/MaskBlock*philoxCounters + at%16/2
	return int16(wordReference(key, c)[at%MaskBlock/16] >> (16 * (at % 2)))
}

func wordReference(key, c uint64) [4]uint32 {
	return philoxReference(7, [4]uint32{uint32(c), uint32(c >> 32)}, [2]uint32{uint32(key), uint32(key >> 32)})
}

// Blocks are at the beginning, where the lower half of a counter overflows, and far behind.
var randomBlocks = []uint64{0, 1, 5, 1<<29 - 3, 1 << 29, 1<<40 + 7}

func TestRandom(t *testing.T) {
	const most = 9
	buffer := guardedOf[int32](RandomBlock * most)
	levelsFrom(Portable, t, func(t *testing.T) {
		for _, key := range []uint64{0, 1, 0x123456789abcdef0, math.MaxUint64} {
			for _, block := range randomBlocks {
				for n := range most + 1 {
					x := buffer[RandomBlock*(most-n):]
					Random(x, key, block)
					for i, got := range x {
						if want := randomReference(key, block*RandomBlock+uint64(i)); got != want {
							t.Fatalf("key %x: number %d from block %d on is %d, want %d", key, i, block, got, want)
						}
					}
				}
			}
		}
	})
}

func TestRandomMask(t *testing.T) {
	const most = 9
	buffer := guardedOf[uint32](MaskBlock / 32 * most)
	levelsFrom(Portable, t, func(t *testing.T) {
		for _, key := range []uint64{0, 1, 0x123456789abcdef0, math.MaxUint64} {
			for _, block := range randomBlocks {
				for n := range most + 1 {
					at := block*MaskBlock + uint64(n*23)
					// One element is a tie, and decided by its number, either way.
					below, number := halfReference(key, at), randomReference(key, at)
					for _, c := range []struct {
						below int16
						last  int32
					}{{below, number}, {below, number - 1}, {0, 0}, {math.MinInt16, -1}, {math.MaxInt16, math.MaxInt32}} {
						mask := buffer[2*(most-n):]
						RandomMask(mask, key, block, c.below, c.last)
						for i := range uint64(MaskBlock * n) {
							at := block*MaskBlock + i
							half := halfReference(key, at)
							want := half < c.below || half == c.below && randomReference(key, at) <= c.last
							if got := mask[i/32]>>(i%32)&1 == 1; got != want {
								t.Fatalf("key %x: element %d from block %d on is kept: %v, want %v", key, i, block, got, want)
							}
						}
					}
				}
			}
		}
	})
}

// The share of ones is the probability, also one that halves alone could not have.
func TestRandomMaskShare(t *testing.T) {
	mask := make([]uint32, 1<<20/32)
	ones := 0
	const rounds = 400
	for b := range uint64(rounds) {
		RandomMask(mask, 77, b*1<<20/MaskBlock, math.MinInt16, 1<<30-1) // ½·2⁻¹⁶
		for _, w := range mask {
			ones += bits.OnesCount32(w)
		}
	}
	if want := float64(rounds) * (1 << 20) / (1 << 17); math.Abs(float64(ones)-want) > 5*math.Sqrt(want) {
		t.Errorf("%d ones, want about %v", ones, want)
	}
}

// near demands that a statistic with a normal distribution is within five standard deviations.
func near(t *testing.T, what string, got, mean, variance float64) {
	t.Helper()
	if math.Abs(got-mean) > 5*math.Sqrt(variance) {
		t.Errorf("%s: %v, want %v ± %v", what, got, mean, math.Sqrt(variance))
	}
}

// chiSquare is that of counts which ought to be equal.
func chiSquare(counts []int) (x float64) {
	n := 0
	for _, c := range counts {
		n += c
	}
	want := float64(n) / float64(len(counts))
	for _, c := range counts {
		x += (float64(c) - want) * (float64(c) - want) / want
	}
	return x
}

// Numbers, and the halves that masks are made of, in order: bits, pairs of bits, leading bits,
// pairs of neighbours, and products at several distances.
func TestRandomQuality(t *testing.T) {
	const n = 1 << 23
	numbers := make([]int32, n)
	for _, key := range []uint64{0, 0x9e3779b97f4a7c15} {
		Random(numbers, key, 3)
		halves := make([]int32, 1<<21) // as numbers of 31 bits with 16 random ones
		for i := range halves {
			halves[i] = int32(uint32(uint16(halfReference(key, uint64(i)))) << 15)
		}
		for name, x := range map[string][]int32{"numbers": numbers, "halves": halves} {
			width := 31
			if name == "halves" {
				width = 16
			}
			quality(t, name, x, width)
		}
	}
}

func quality(t *testing.T, name string, x []int32, width int) {
	t.Helper()
	n := float64(len(x))
	var ones [31]int
	var both [31][31]int
	leading, pairs := make([]int, 1<<12), make([]int, 1<<12)
	before := uint32(0)
	for i, v := range x {
		u := uint32(v)
		for b := 31 - width; b < 31; b++ {
			ones[b] += int(u >> b & 1)
		}
		if i%16 == 0 {
			for b := 31 - width; b < 31; b++ {
				if u>>b&1 == 1 {
					for c := b + 1; c < 31; c++ {
						both[b][c] += int(u >> c & 1)
					}
				}
			}
		}
		leading[u>>19]++
		if i%2 == 1 {
			pairs[before>>25<<6|u>>25]++
		}
		before = u
	}
	for b := 31 - width; b < 31; b++ {
		near(t, name+": ones of a bit", float64(ones[b]), n/2, n/4)
		for c := b + 1; c < 31; c++ {
			near(t, name+": two bits", float64(both[b][c]), n/64, n/16*3/16)
		}
	}
	const free = 1<<12 - 1
	near(t, name+": leading bits", chiSquare(leading), free, 2*free)
	near(t, name+": pairs", chiSquare(pairs), free, 2*free)
	for _, lag := range []int{1, 2, 3, 4, 7, 8, 16, 24, 32, 64, 211, 4096, 8192} {
		sum := 0.0
		for i, v := range x[lag:] {
			sum += (float64(v)/(1<<31) - 0.5) * (float64(x[i])/(1<<31) - 0.5)
		}
		near(t, name+": products at a distance", sum, 0, n/144)
	}
}

// Keys that differ in one bit have nothing in common, nor have neighbouring counters.
func TestRandomKeysAreIndependent(t *testing.T) {
	const n = 1 << 16
	first, other := make([]int32, n), make([]int32, n)
	Random(first, 42, 0)
	for b := range 64 {
		Random(other, 42^1<<b, 0)
		same := 0
		for i, v := range first {
			same += 31 - bits.OnesCount32(uint32(v^other[i]))
		}
		near(t, "bits that are the same", float64(same), 31*n/2, 31*n/4)
	}
	if slices.Equal(first, other) {
		t.Error("keys make no difference")
	}
}
