package sparsify

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"weld/stream/fuse"
)

// The numbers and the mask of some elements are those that they have among all.
func TestNoiseIsThatOfTheIndex(t *testing.T) {
	const n, p = 5000, 0.3
	random := NewNoise(3, 1, "w")
	all, whole := random.Numbers(make([]int32, n+64), 0, n), random.Mask(make([]uint32, n/32+4), 0, n, p)
	for _, r := range [][2]int64{{0, 1}, {1, 2}, {1, 5000}, {17, 18}, {17, 3000}, {18, 333}, {31, 33}, {32, 64}, {63, 65}, {64, 4000}, {95, 97}, {96, 5000}, {7, 7}} {
		lo, hi := r[0], r[1]
		if part := random.Numbers(make([]int32, hi-lo+64), lo, hi); !slices.Equal(part, all[lo:hi]) {
			t.Errorf("numbers of %v differ", r)
		}
		part := random.Mask(make([]uint32, (hi-lo+128)/32), lo, hi, p)
		for i := lo; i < hi; i++ {
			if part[(i-lo)/32]>>((i-lo)%32)&1 != whole[i/32]>>(i%32)&1 {
				t.Fatalf("element %d of %v differs", i, r)
			}
		}
	}
}

// A mask has ones at the share that is asked for, however small.
func TestMaskShare(t *testing.T) {
	const n = 1 << 22
	mask := make([]uint32, n/32)
	for i, p := range []float64{0, 1e-9, 1e-5, 0x1p-16, 1.5 * 0x1p-16, 0.1, 0.5, 0.7, 1 - 1e-5, 1 - 0x1p-40, 1} {
		NewNoise(1, i, "w").Mask(mask, 0, n, p)
		ones := 0
		for _, w := range mask {
			ones += bits.OnesCount32(w)
		}
		if math.Abs(float64(ones)-n*p) > 5*math.Sqrt(n*p*(1-p)+0.01) {
			t.Errorf("%d ones with probability %v, want %v", ones, p, n*p)
		}
	}
}

// Seeds, models and tensors that differ in little have numbers and masks with nothing in common.
func TestNoisesAreIndependent(t *testing.T) {
	const n = 1 << 14
	var numbers [][]int32
	var masks [][]uint32
	for seed := range uint64(3) {
		for model := range 3 {
			for _, tensor := range []string{"", "a", "b", "model.layers.1.w", "model.layers.2.w", "model.layers.11.w"} {
				random := NewNoise(seed, model, tensor)
				numbers = append(numbers, random.Numbers(make([]int32, n), 0, n))
				masks = append(masks, random.Mask(make([]uint32, n/32), 0, n, 0.5))
			}
		}
	}
	near := func(what string, same int, of float64) {
		if math.Abs(float64(same)-of/2) > 6*math.Sqrt(of)/2 {
			t.Errorf("%d of %v %s are the same", same, of, what)
		}
	}
	for i := range numbers {
		for k := range i {
			same := 0
			for at, x := range numbers[i] {
				same += 31 - bits.OnesCount32(uint32(x^numbers[k][at]))
			}
			near("bits of numbers", same, 31*n)
			same = 0
			for at, w := range masks[i] {
				same += 32 - bits.OnesCount32(w^masks[k][at])
			}
			near("bits of masks", same, n)
		}
	}
}

// What advance cuts out of a mask, deposit puts back.
func TestMaskParts(t *testing.T) {
	r := rand.New(rand.NewPCG(71, 72))
	bit := func(mask []uint32, i int) uint32 { return mask[i/32] >> (i % 32) & 1 }
	for range 2000 {
		n, at := 1+r.IntN(200), r.IntN(32)
		mask := make([]uint32, words(int64(at+n)))
		for i := range mask {
			mask[i] = r.Uint32()
		}
		part := advance(make([]uint32, len(mask)), mask, at)
		for i := range n {
			if bit(part, i) != bit(mask, at+i) {
				t.Fatalf("bit %d from %d on differs", i, at)
			}
		}
		part = part[:words(int64(n))]
		if n%32 > 0 {
			part[len(part)-1] &= 1<<(n%32) - 1
		}
		to := r.IntN(100)
		whole := make([]uint32, words(int64(to+n))+1)
		deposit(whole, part, to)
		for i := range 32 * len(whole) {
			want := uint32(0)
			if i >= to && i < to+n {
				want = bit(mask, at+i-to)
			}
			if bit(whole, i) != want {
				t.Fatalf("bit %d of %d at %d differs", i, n, to)
			}
		}
	}
}

func BenchmarkNoise(b *testing.B) {
	var m workerMemory
	n := NewNoise(1, 1, "w")
	for b.Loop() {
		n.Mask(m.mask[:], 1, fuse.TileElements+1, 0.3)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/fuse.TileElements, "ns/element")
}
