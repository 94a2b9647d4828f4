package methods

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"weld/format"
	"weld/scoring"
	"weld/stream/fuse"
	"weld/stream/fuse/fusetest"
)

// layeredModel draws tensors of two layers, and two in none, with importance of any statistic; some files lack a tensor.
func layeredModel(r *rand.Rand, dtype format.DType, models int, shared Params) *fusetest.Merge {
	in := &fusetest.Merge{Models: make([]fusetest.Weights, models), Importance: make([]fusetest.Weights, models)}
	own := make([]Params, models)
	for m := range own {
		own[m] = Params{"weight": []float64{1, 0.4, -1}[r.IntN(3)], "statistic": float64(r.IntN(5))}
	}
	for _, x := range []struct {
		layer string
		n     int64
	}{{"", 9000}, {"l.0", 20000}, {"l.1", 300}, {"l.0", 7}, {"l.1", 8193}, {"", 40}} {
		values := func(scale float64) []float64 {
			v := make([]float64, x.n)
			for i := range v {
				v[i] = scale * r.NormFloat64()
			}
			return v
		}
		j := fuse.Job{Name: "w", Layer: x.layer, Shape: []int64{x.n}, DType: format.F64, Wide: dtype == format.F64, Tiling: fuse.NewTiling(x.n, 1), Params: shared}
		in.Base = append(in.Base, fusetest.Pack(dtype, values(1)))
		for m := range models {
			in.Models[m] = append(in.Models[m], fusetest.Pack(dtype, values(1)))
			a := values(math.Exp(2 * r.NormFloat64()))
			for i := range a {
				a[i] = math.Abs(a[i])
			}
			j.Models = append(j.Models, fuse.Contribution{Params: own[m], Importance: r.IntN(5) > 0, Statistic: scoring.Statistic(own[m]["statistic"])})
			in.Importance[m] = append(in.Importance[m], fusetest.Pack(format.F32, a))
		}
		in.Jobs = append(in.Jobs, j)
	}
	return in
}

// layeredReference is the method by its formula, in float64, over whole models.
func layeredReference(in *fusetest.Merge, shared Params) (want [][]float64) {
	of := func(a, b int) bool { // share their sums
		return a == b || shared["per"] != perTensor && in.Jobs[a].Layer != "" && in.Jobs[a].Layer == in.Jobs[b].Layer
	}
	fisher := func(m, j int) (sum float64) {
		for k := range in.Jobs {
			if !of(j, k) || !in.Jobs[k].Models[m].Importance {
				continue
			}
			for _, x := range fusetest.Unpack(in.Importance[m][k]) {
				if in.Jobs[k].Models[m].Statistic.IsMagnitude() {
					x *= x
				}
				sum += x
			}
		}
		return sum
	}
	for j := range in.Jobs {
		out, n, total := fusetest.Unpack(in.Base[j]), 0.0, 0.0
		for m, c := range in.Jobs[j].Models {
			if c.Importance {
				n, total = n+1, total+fisher(m, j)
			}
		}
		for m, c := range in.Jobs[j].Models {
			coefficient := 1.0
			if n > 0 {
				if !c.Importance {
					continue
				}
				coefficient = n * fisher(m, j) / total
			}
			theta, base := fusetest.Unpack(in.Models[m][j]), fusetest.Unpack(in.Base[j])
			for i := range out {
				out[i] += shared["lambda"] * c.Params.(Params)["weight"] * coefficient * (theta[i] - base[i])
			}
		}
		want = append(want, out)
	}
	return want
}

func TestFisherArithmeticReference(t *testing.T) {
	r := rand.New(rand.NewPCG(61, 62))
	for _, dtype := range []format.DType{format.F32, format.BF16, format.F64} {
		for trial := range 6 {
			shared := Params{"lambda": []float64{1, 0.3}[trial%2], "per": float64(trial / 2 % 2), "missing_importance": 1}
			in := layeredModel(r, dtype, 2+trial%2, shared)
			want := layeredReference(in, shared)
			var first [][]byte
			for seed := range uint64(3) {
				got := in.Drive(t, merging("fisher_arithmetic", in.Jobs, fuse.StopNonfinite), seed)
				if seed == 0 {
					first = got
				}
				tolerance := 1e-12
				if dtype != format.F64 {
					tolerance = 2e-6
				}
				for j := range want {
					if string(got[j]) != string(first[j]) {
						t.Fatalf("%v, trial %d, tensor %d: spans decide about the result", dtype, trial, j)
					}
					for i, x := range fusetest.Unpack(fuse.Operand{DType: format.F64, Data: got[j]}) {
						if math.Abs(x-want[j][i]) > tolerance*max(1, math.Abs(want[j][i])) {
							t.Fatalf("%v, trial %d, tensor %d, element %d: %v, want %v", dtype, trial, j, i, x, want[j][i])
						}
					}
				}
			}
		}
	}
}

func TestFisherArithmetic(t *testing.T) {
	m := oneTensor{
		method: "fisher_arithmetic", dtype: format.F32, out: format.F32, shape: []int64{2}, base: []float64{1, 1},
		models: [][]float64{{2, 3}, {5, 1}}, importance: [][]float64{{1, -1}, {2, 1}}, // sums of squares: 2 and 5
		own:    []Params{{"weight": 1}, {"weight": 1}},
		shared: Params{"lambda": 1},
	}
	m.hold(t, []float64{1 + 4./7 + 4*10./7, 1 + 2*4./7}, 1e-6)
	m.own[1]["statistic"] = float64(scoring.MeanSqGrad) // sums: 2 and 3
	m.hold(t, []float64{1 + 4./5 + 4*6./5, 1 + 2*4./5}, 1e-6)

	// Equal sums are task arithmetic, and so is what nobody knows anything of.
	m.importance[1] = []float64{0, 2}
	m.hold(t, []float64{6, 3}, 1e-6)
	m.importance = [][]float64{{0, 0}, {0, 0}}
	m.hold(t, []float64{6, 3}, 0)
	m.shared["missing_importance"], m.importance = 1, [][]float64{nil, nil}
	m.hold(t, []float64{6, 3}, 0)

	// One that has no file for the tensor has no part in it.
	m.importance[0] = []float64{1, 0}
	m.hold(t, []float64{2, 3}, 0)
	m.shared["missing_importance"] = 0
	in := m.inputs()
	if _, err := in.FuseOnce(merging("fisher_arithmetic", in.Jobs, fuse.StopNonfinite)); err == nil {
		t.Error("a tensor without importance was merged")
	}
}

// Of several elements that are no numbers the first one in the tensor is named, in whatever tile it is.
func TestFisherArithmeticNamesTheFirst(t *testing.T) {
	const n = 3 * fuse.TileElements
	a := make([]float64, n)
	a[fuse.TileElements+5], a[fuse.TileElements+9], a[n-1] = math.Inf(1), math.NaN(), math.NaN()
	m := oneTensor{
		method: "fisher_arithmetic", dtype: format.F32, out: format.F32, shape: []int64{n}, base: make([]float64, n),
		models: [][]float64{make([]float64, n)}, importance: [][]float64{a}, own: []Params{{"weight": 1}}, shared: Params{"lambda": 1},
	}
	in := m.inputs()
	sums := merging("fisher_arithmetic", in.Jobs, fuse.StopNonfinite).Next().Chain(0)[0]
	for _, tiles := range [][2]int64{{2, 3}, {0, 2}} { // the last is done first
		if err := sums.Span(new(fuse.Scratch), in.Span(0, sums.Reads(), tiles[0], tiles[1], nil)); err != nil {
			t.Fatal(err)
		}
	}
	var e *fuse.NonfiniteError
	if err := sums.End(); !errors.As(err, &e) || e.Index != fuse.TileElements+5 {
		t.Errorf("%v", err)
	}
}

// A model that lacks the tensor has no sum in it, and the others keep their own weights, files and statistics.
func TestFisherArithmeticAbsent(t *testing.T) {
	m := oneTensor{
		method: "fisher_arithmetic", dtype: format.F32, out: format.F32, shape: []int64{1}, base: []float64{0},
		models: [][]float64{nil, {2}, {3}}, importance: [][]float64{{100}, {1}, {3}}, // sums 1 and 3
		own:    []Params{{"weight": 10}, {"weight": 1}, {"weight": -1, "statistic": float64(scoring.MeanSqGrad)}},
		shared: Params{"lambda": 1},
	}
	m.hold(t, []float64{2*2./4 - 3*2*3./4}, 1e-6)
	m.importance[2][0] = -1
	in := m.inputs()
	var e *fuse.NonfiniteError
	if _, err := in.FuseOnce(merging("fisher_arithmetic", in.Jobs, fuse.StopNonfinite)); !errors.As(err, &e) || e.Model != 2 || e.Held != -1 {
		t.Errorf("a negative square of the third model: %v", err)
	}
}

// What the method asks for is said beforehand: one pass, and a sum for each model and tensor, and for each model and layer.
func TestFisherArithmeticCost(t *testing.T) {
	const jobs, layers, models = 6, 4, 7
	in := layeredModel(rand.New(rand.NewPCG(1, 2)), format.F32, models, Params{"lambda": 1, "missing_importance": 1})
	method := merging("fisher_arithmetic", in.Jobs, fuse.StopNonfinite)
	plain := method.(*fisherArithmetic).Method.Cost()
	if got := method.Cost(); method.Expected() != 1 || got.Shared != plain.Shared+4*jobs+8*models*(jobs+layers) || got.Scratch != plain.Scratch {
		t.Errorf("%d passes, %+v, and without sums %+v", method.Expected(), got, plain)
	}
	in.Drive(t, method, 0) // no worker takes more for many models
}

// Importance that is no number stops the run, at its first element, or counts as nothing where the user lets such values pass.
func TestFisherArithmeticNonfinite(t *testing.T) {
	for _, odd := range []float64{math.NaN(), math.Inf(1), -1} {
		m := oneTensor{
			method: "fisher_arithmetic", dtype: format.F32, out: format.F32, shape: []int64{3}, base: []float64{0, 0, 0},
			models: [][]float64{{1, 1, 1}, {1, 1, 1}}, importance: [][]float64{{1, 1, 1}, {1, odd, odd}},
			own:    []Params{{"weight": 1}, {"weight": 1, "statistic": float64(scoring.AdamSecondMoment)}},
			shared: Params{"lambda": 1},
		}
		in := m.inputs()
		var e *fuse.NonfiniteError
		_, err := in.FuseOnce(merging("fisher_arithmetic", in.Jobs, fuse.StopNonfinite))
		if !errors.As(err, &e) || e.Index != 1 || e.Model != 1 || e.Whose != fuse.OfImportance || !e.Score || !(e.Held == odd || math.IsNaN(odd) && math.IsNaN(e.Held)) {
			t.Errorf("importance of %v: %v", odd, err)
		}
		got, err := m.inputs().FuseOnce(merging("fisher_arithmetic", in.Jobs, fuse.PropagateNonfinite))
		if err != nil || math.Abs(got[0]-2) > 1e-6 { // sums 3 and 1 of two models that are alike
			t.Errorf("importance of %v, propagated: %v, %v", odd, got, err)
		}
	}
}
