package fuse_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"weld/format"
	"weld/stream/fuse"
	"weld/stream/fuse/fusetest"
)

// Quartiles are the elements of the sorted order that they are said to be.
func TestQuantiles(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	for _, n := range []int64{1, 2, 3, 10, 8191, 30000} {
		x := make([]float64, n)
		for i := range x {
			x[i] = float64(float32(math.Exp(10 * r.NormFloat64())))
			if r.IntN(3) == 0 {
				x[i] = float64(r.IntN(3))
			}
		}
		job := fuse.Job{Name: "x", Shape: []int64{n}, DType: format.F32, Tiling: fuse.NewTiling(n, 1)}
		in := &fusetest.Merge{Jobs: fuse.List{job}, Base: fusetest.Weights{fusetest.Pack(format.F32, x)}}
		ks := []int64{1, (n + 1) / 2, n}
		q := fuse.NewQuantiles(ks...)
		f := &fuse.Fusion{Job: &job}
		in.Chain(t, r, 0, fuse.QuantileStages(f, q, fuse.Reads{Base: true}, fuse.Operands[float32].Base), nil)
		sorted := slices.Sorted(slices.Values(x))
		for i, k := range ks {
			if float64(q.Values[i]) != sorted[n-k] {
				t.Errorf("%d of %d: %v, want %v", k, n, q.Values[i], sorted[n-k])
			}
		}
	}
}
