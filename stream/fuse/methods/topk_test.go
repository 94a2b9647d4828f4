package methods

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"weld/format"
	"weld/scoring"
	"weld/stream/fuse"
	"weld/stream/fuse/fusetest"
)

// A tensor that is sampled keeps exactly the elements that a stable sort says, whatever its scores are: spread out,
// of few values, mostly zeros, or so that the sample misleads.
func TestSampledSelectionEqualsReference(t *testing.T) {
	const n = fuse.LeastSampled + 4096
	for name, value := range map[string]func(r *rand.Rand, i int) float64{
		"normal": func(r *rand.Rand, _ int) float64 { return r.NormFloat64() },
		"bfloat16": func(r *rand.Rand, _ int) float64 {
			return float64(math.Float32frombits(math.Float32bits(float32(r.NormFloat64())) &^ 0xffff))
		},
		"equal": func(*rand.Rand, int) float64 { return 1 },
		"two":   func(r *rand.Rand, _ int) float64 { return float64(1 + r.IntN(2)) },
		"zeros": func(r *rand.Rand, _ int) float64 {
			if r.IntN(20) > 0 {
				return 0
			}
			return r.NormFloat64()
		},
		"hidden": func(r *rand.Rand, i int) float64 { // large where no sample looks: what few blocks do not meet
			if i%4096 < 2000 {
				return 100 + r.Float64()
			}
			return r.Float64()
		},
	} {
		for _, m := range []struct {
			method  string
			density float64
		}{{"ties", 0.5}, {"breadcrumbs", 0.4}} {
			r := rand.New(rand.NewPCG(1, uint64(len(name))))
			x := oneTensor{
				method: m.method, dtype: format.F32, out: format.F32, shape: []int64{n / 1024, 1024}, base: make([]float64, n), models: [][]float64{make([]float64, n)},
				shared: Params{"lambda": 1, "normalize": 0, "rescale": 0}, own: []Params{{"weight": 1, "density": m.density, "gamma": 0.1}},
			}
			for i := range x.models[0] {
				x.models[0][i] = float64(float32(value(r, i)))
			}
			in := x.inputs()
			got := fusetest.Unpack(fuse.Operand{DType: format.F32, Data: in.Drive(t, merging(m.method, in.Jobs, fuse.StopNonfinite), 3)[0]})
			want := magnitudesKept(x.models[0], m.method, m.density)
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("%s, %s at %v: element %d is %v, want %v", name, m.method, m.density, i, got[i], want[i])
					break
				}
			}
		}
	}
}

// magnitudesKept is what a stable sort keeps; breadcrumbs drop a tenth before.
func magnitudesKept(x []float64, method string, density float64) []float64 {
	n := len(x)
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(math.Abs(x[b]), math.Abs(x[a])) })
	keep, drop := int(density*float64(n)), 0
	if method == "breadcrumbs" {
		drop = n / 10
		keep += drop
	}
	kept := make([]float64, n)
	for _, i := range order[drop:keep] {
		kept[i] = x[i]
	}
	return kept
}

// Where one model's sample misleads, and another's does not, equal scores of each are numbered by themselves.
func TestOneSampleOfSeveralMisleads(t *testing.T) {
	const n, density = fuse.LeastSampled, 0.4
	r := rand.New(rand.NewPCG(1, 2))
	x := oneTensor{
		method: "breadcrumbs", dtype: format.F32, out: format.F32, shape: []int64{n / 1024, 1024}, base: make([]float64, n),
		models: [][]float64{make([]float64, n), make([]float64, n), make([]float64, n)}, shared: Params{"lambda": 1, "normalize": 0, "rescale": 0},
	}
	// Where the sample looks, everything is large.
	large := make([]bool, n)
	sparse := fuse.NewTiling(n, 1024).Sparse(256, scoring.BlockElements)
	for i := range sparse.Count() {
		lo, hi := sparse.Range(i)
		for at := lo; at < hi; at++ {
			large[at] = true
		}
	}
	want := make([]float64, n)
	for k := range x.models {
		x.own = append(x.own, Params{"weight": 1, "density": density, "gamma": 0.1})
		for i := range n {
			v := float64(1 + r.IntN(2))
			if k == 1 && large[i] {
				v += 10
			}
			x.models[k][i] = v
		}
		for i, v := range magnitudesKept(x.models[k], x.method, density) {
			want[i] += v
		}
	}
	in := x.inputs()
	got := fusetest.Unpack(fuse.Operand{DType: format.F32, Data: in.Drive(t, merging(x.method, in.Jobs, fuse.StopNonfinite), 3)[0]})
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("element %d is %v, want %v", i, got[i], want[i])
		}
	}
}
