package methods

import (
	"math"
	"testing"

	"weld/format"
	"weld/stream/fuse"
	"weld/stream/fuse/fusetest"
)

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
	in := &fusetest.Merge{Base: fusetest.Weights{fusetest.Pack(format.F32, make([]float64, n))}, Models: []fusetest.Weights{{}, {}}}
	in.Models[model] = fusetest.Weights{fusetest.Pack(format.F32, theta)}
	in.Models[1-model] = fusetest.Weights{fuse.Operand{}}
	j := fuse.Job{Name: tensor, Shape: shape, DType: format.F32, Tiling: fuse.NewTiling(n, x.RowLen()), Params: shared, Models: []fuse.Contribution{{Absent: true}, {Absent: true}}}
	j.Models[model] = fuse.Contribution{Params: own}
	in.Jobs = []fuse.Job{j}
	return fusetest.Unpack(fuse.Operand{DType: format.F32, Data: in.Drive(t, merging(method, in.Jobs, fuse.StopNonfinite), 5)[0]})
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
