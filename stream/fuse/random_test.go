package fuse

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"weld/format"
)

// The numbers and the mask of some elements are those that they have among all.
func TestNoiseIsThatOfTheIndex(t *testing.T) {
	const n, p = 5000, 0.3
	luck := newNoise(3, 1, "w")
	all, whole := luck.numbers(make([]int32, n+64), 0, n), luck.mask(make([]uint32, n/32+4), 0, n, p)
	for _, r := range [][2]int64{{0, 1}, {1, 2}, {1, 5000}, {17, 18}, {17, 3000}, {18, 333}, {31, 33}, {32, 64}, {63, 65}, {64, 4000}, {95, 97}, {96, 5000}, {7, 7}} {
		lo, hi := r[0], r[1]
		if part := luck.numbers(make([]int32, hi-lo+64), lo, hi); !slices.Equal(part, all[lo:hi]) {
			t.Errorf("numbers of %v differ", r)
		}
		part := luck.mask(make([]uint32, (hi-lo+128)/32), lo, hi, p)
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
		newNoise(1, i, "w").mask(mask, 0, n, p)
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
				luck := newNoise(seed, model, tensor)
				numbers = append(numbers, luck.numbers(make([]int32, n), 0, n))
				masks = append(masks, luck.mask(make([]uint32, n/32), 0, n, 0.5))
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

// kept drives a random method on one model of weight 1 whose task vector is ones and twos, and
// returns its task vector after.
func kept(t *testing.T, method, tensor string, model int, shape []int64, own Params, shared Params) []float64 {
	t.Helper()
	x := format.Tensor{Shape: shape}
	n := x.Elements()
	theta := make([]float64, n)
	for i := range theta {
		theta[i] = 1 + float64(i%2)
	}
	in := &inputs{base: source{pack(format.F32, make([]float64, n))}, models: []source{{}, {}}}
	in.models[model] = source{pack(format.F32, theta)}
	in.models[1-model] = source{Operand{}}
	j := Job{Name: tensor, Shape: shape, DType: format.F32, Tiling: NewTiling(n, x.RowLen()), Params: shared, Models: []Contribution{{Absent: true}, {Absent: true}}}
	j.Models[model] = Contribution{Params: own}
	in.jobs = []Job{j}
	return unpack(Operand{format.F32, in.drive(t, Local(method, in.jobs, StopNonfinite), 5)[0]})
}

func TestRandomMasks(t *testing.T) {
	var others [][]float64
	for _, c := range []struct {
		method, tensor string
		model          int
		seed           float64
		shape          []int64
		density        float64
	}{
		{"dare_linear", "a", 0, 0, []int64{300, 1000}, 0.5},
		{"dare_linear", "a", 1, 0, []int64{300, 1000}, 0.5},
		{"dare_linear", "b", 0, 0, []int64{300, 1000}, 0.5},
		{"dare_linear", "a", 0, 1, []int64{300, 1000}, 0.5},
		{"dare_ties", "c", 0, 1, []int64{300, 1000}, 0.5},
		{"della", "d", 0, 0, []int64{300, 1000}, 0.5},
		{"della_linear", "e", 0, 0, []int64{30, 10000}, 0.5},
		{"dare_linear", "f", 0, 0, []int64{300000}, 0.01},
		{"dare_linear", "f", 0, 0, []int64{300000}, 0.99},
		{"della", "g", 0, 0, []int64{300000}, 0.2},
		{"della", "h", 0, 0, []int64{300000, 1}, 0.7},
	} {
		got := kept(t, c.method, c.tensor, c.model, c.shape,
			Params{"weight": 1, "density": c.density, "epsilon": 0.15}, Params{"lambda": 1, "rescale": 1, "seed": c.seed})
		n, l1 := 0, 0.0
		for _, x := range got {
			if x != 0 {
				n++
			}
			l1 += math.Abs(x)
		}
		size := float64(len(got))
		if sigma := math.Sqrt(size * c.density * (1 - c.density)); math.Abs(float64(n)-size*c.density) > 5*sigma {
			t.Errorf("%+v: %d of %v are kept", c, n, size)
		}
		if math.Abs(l1/(1.5*size)-1) > 1e-6 {
			t.Errorf("%+v: the norm is %v, it was %v", c, l1, 1.5*size)
		}
		if c.density != 0.5 {
			continue
		}
		for _, other := range others {
			same := 0
			for i := range other {
				if (other[i] != 0) == (got[i] != 0) {
					same++
				}
			}
			if math.Abs(float64(same)-size/2) > 5*math.Sqrt(size)/2 && math.Abs(float64(same)-size/2) > 0.03*size {
				t.Errorf("%+v: %d of %v elements are as in another mask", c, same, size)
			}
		}
		others = append(others, got)
	}
}

// A larger element is kept with a larger probability.
func TestRankedMaskPrefersLargeElements(t *testing.T) {
	got := kept(t, "della_linear", "w", 0, []int64{50, 10000}, Params{"weight": 1, "density": 0.5, "epsilon": 0.2}, Params{"lambda": 1})
	count := [2]int{}
	for i, x := range got {
		if x != 0 {
			count[i%2]++
		}
	}
	// The ones have the lower half of the ranks: 0.3 + 0.4·r, r from 0 to ½, is 0.4 on average.
	for i, p := range []float64{0.4, 0.6} {
		n := float64(len(got) / 2)
		if math.Abs(float64(count[i])-n*p) > 5*math.Sqrt(n*p*(1-p)) {
			t.Errorf("%d of %v are kept, want a share of %v", count[i], n, p)
		}
	}
}
