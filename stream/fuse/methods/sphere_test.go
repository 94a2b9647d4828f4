package methods

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"weld/format"
	"weld/stream/fuse"
	"weld/stream/fuse/fusetest"
)

// Tests of the methods that combine models with coefficients from their inner products.

func weighted3(w ...float64) []goldenModel {
	var models []goldenModel
	for i, name := range []string{"a", "b", "c"}[:len(w)] {
		models = append(models, goldenModel{name, Params{"weight": w[i]}})
	}
	return models
}

func named(names ...string) []goldenModel {
	var models []goldenModel
	for _, n := range names {
		models = append(models, goldenModel{name: n})
	}
	return models
}

// cancelled excuses what rounding leaves of terms of up to 1, whose sum is small.
func cancelled(_ string, got, want float64) bool { return math.Abs(got-want) <= 1e-7 }

func TestSphereEqualsMergekit(t *testing.T) {
	for _, c := range []struct {
		method, name, base string
		models             []goldenModel
		shared             Params
	}{
		{"slerp", "slerp", "", named("a", "b"), Params{"t": 0.3}},
		{"slerp", "slerp-base-not-in-models", "", named("base", "a"), Params{"t": 0.6}},
		{"slerp", "slerp-base-second", "", named("b", "a"), Params{"t": 0.3}},
		{"slerp", "slerp-extrapolate", "", named("a", "b"), Params{"t": 1.5}},
		{"slerp", "tied-slerp", "", named("tied-a", "tied-b"), Params{"t": 0.4}},
		{"nuslerp", "nuslerp", "", weighted3(0.3, 0.5), Params{"nuslerp_flatten": 1}},
		{"nuslerp", "nuslerp-columns", "", weighted3(0.3, 0.5), Params{}},
		{"nuslerp", "nuslerp-row-wise", "", weighted3(0.3, 0.5), Params{"nuslerp_row_wise": 1}},
		{"nuslerp", "nuslerp-flatten-wins", "", weighted3(0.3, 0.5), Params{"nuslerp_flatten": 1, "nuslerp_row_wise": 1}},
		{"nuslerp", "nuslerp-zero-weights", "", weighted3(0, 0), Params{"nuslerp_flatten": 1}},
		{"nuslerp", "nuslerp-base", "base", weighted3(1, 2), Params{"nuslerp_flatten": 1, "with_base": 1}},
		{"nuslerp", "nuslerp-base-columns", "base", weighted3(0.3, 0.5), Params{"with_base": 1}},
		{"nuslerp", "nuslerp-base-row-wise", "base", weighted3(0.3, 0.5), Params{"nuslerp_row_wise": 1, "with_base": 1}},
		{"multislerp", "multislerp", "", weighted3(0.5, 0.3, 0.4), Params{"normalize_weights": 1, "eps": 1e-8}},
		{"multislerp", "multislerp-unnormalized", "", weighted3(0.5, 0.3, 0.4), Params{"eps": 1e-8}},
		{"multislerp", "multislerp-base", "base", weighted3(0.5, 0.3, 0.4), Params{"normalize_weights": 1, "eps": 1e-8, "with_base": 1}},
		{"multislerp", "multislerp-base-two", "base", weighted3(1, 1), Params{"normalize_weights": 1, "eps": 1e-8, "with_base": 1}},
		{"multislerp", "multislerp-base-unnormalized-eps", "base", weighted3(0.5, 0.3, 0.4), Params{"eps": 1e-5, "with_base": 1}},
		{"karcher", "karcher", "", named("a", "b", "c"), Params{"max_iter": 10, "tol": 1e-5}},
		{"karcher", "karcher-base-counts", "", named("a", "b", "base"), Params{"max_iter": 10, "tol": 1e-5}},
		{"karcher", "karcher-one-step", "", named("a", "b", "c"), Params{"max_iter": 1, "tol": 1e-5}},
		{"karcher", "karcher-tol", "", named("a", "b", "c"), Params{"max_iter": 50, "tol": 1e-3}},
		{"model_stock", "model_stock", "base", named("a", "b", "c"), Params{}},
		{"model_stock", "model_stock-two", "base", named("a", "b"), Params{}},
		{"model_stock", "model_stock-filter-wise", "base", named("a", "b", "c"), Params{"filter_wise": 1}},
		{"nearswap", "nearswap", "a", named("b"), Params{"t": 0.01}},
		{"nearswap", "nearswap-large-t", "a", named("b"), Params{"t": 0.3}},
	} {
		golden(t, c.method, c.name, c.base, c.models, c.shared, 2e-6, cancelled)
	}
}

// tensorOf is a merge of one tensor.
func tensorOf(dtype format.DType, shape []int64, base []float64, models [][]float64, shared Params, weights []float64) *fusetest.Merge {
	x := format.Tensor{DType: dtype, Shape: shape}
	j := fuse.Job{Name: "x", Shape: shape, DType: dtype, Wide: dtype == format.F64, Tiling: fuse.NewTiling(x.Elements(), x.RowLen()), Params: shared}
	in := &fusetest.Merge{}
	if base != nil {
		in.Base = fusetest.Weights{fusetest.Pack(dtype, base)}
	}
	for m, theta := range models {
		in.Models = append(in.Models, fusetest.Weights{fusetest.Pack(dtype, theta)})
		own := Params{}
		if m < len(weights) {
			own["weight"] = weights[m]
		}
		j.Models = append(j.Models, fuse.Contribution{Params: own})
	}
	in.Jobs = []fuse.Job{j}
	return in
}

// TestSphereValues has values that mergekit 0.1.5 printed.
func TestSphereValues(t *testing.T) {
	b := []float64{.5, -.25, .125, 1, -1, .75, 0, .3}
	x := []float64{.6, -.2, .125, .8, -1.1, .7, .05, .35}
	y := []float64{.45, -.35, .2, 1.1, -.8, .78, .02, .2}
	type m = [][]float64
	for _, c := range []struct {
		method  string
		base    []float64
		models  m
		weights []float64
		shared  Params
		want    []float64
	}{
		{"slerp", nil, m{b, x}, nil, Params{"t": .3}, []float64{.5313522, -.2355682, .1253111, .9422728, -1.0325965, .7368125, .0150539, .3158005}},
		{"slerp", nil, m{{1, 0, 0}, {0, 2, 0}}, nil, Params{"t": .3}, []float64{.8910065, .9079811, 0}},
		{"slerp", nil, m{{1, 0, 0}, {-1, 0, 0}}, nil, Params{"t": .3}, []float64{.4, 0, 0}},
		{"slerp", nil, m{{0, 0, 0}, {0, 2, 0}}, nil, Params{"t": .3}, []float64{0, .9079811, 0}},
		{"nuslerp", nil, m{x, y}, []float64{1, 3}, Params{"nuslerp_flatten": 1}, []float64{.4919301, -.3149841, .1827081, 1.0334251, -.882996, .7664528, .027781, .2397694}},
		{"nuslerp", nil, m{x, y}, []float64{1, 3}, Params{}, []float64{.4908532, -.3143804, .1823537, 1.0313777, -.8791808, .7633743, .0276469, .2386865}},
		{"nuslerp", nil, m{x, y}, []float64{1, 3}, Params{"nuslerp_row_wise": 1}, []float64{.4875081, -.313056, .1825073, 1.0299697, -.8750147, .7614442, .0277423, .2388384}},
		{"nuslerp", b, m{x, y}, []float64{1, 3}, Params{"nuslerp_flatten": 1, "with_base": 1}, []float64{.5120905, -.3531237, .234169, .975819, -.7937526, .7512326, .0715467, .1968762}},
		{"nuslerp", b, m{x, y}, []float64{-1, 1}, Params{"nuslerp_flatten": 1, "with_base": 1}, []float64{.5699222, -.3199221, .2298833, .8601557, -.8601557, .7220311, .097891, .2300778}},
		{"multislerp", nil, m{x, y}, []float64{1, 3}, Params{"normalize_weights": 1, "eps": 1e-8}, []float64{.4916149, -.315274, .1828523, 1.0339925, -.8823687, .7665887, .0277202, .2394621}},
		{"multislerp", b, m{x, y}, []float64{1, 3}, Params{"normalize_weights": 1, "eps": 1e-8, "with_base": 1}, []float64{.4817998, -.3532816, .2191815, 1.0364004, -.7934369, .7653788, .0474088, .1967184}},
		{"multislerp", b, m{x, y}, []float64{1, 3}, Params{"eps": 1e-8, "with_base": 1}, []float64{.4271992, -.6631262, .501726, 1.1456017, -.1737475, .8115153, .1896352, -.1131264}},
		{"karcher", nil, m{b, x, y}, nil, Params{"max_iter": 10, "tol": 1e-5}, []float64{.5208613, -.2690111, .1514299, .974341, -.9740254, .7492962, .0236783, .2854064}},
		{"karcher", nil, m{{1, 0}, {-1, 0}}, nil, Params{"max_iter": 10, "tol": 1e-5}, []float64{1, 0}},
		{"karcher", nil, m{{1, 0}, {0, 0}}, nil, Params{"max_iter": 10, "tol": 1e-5}, []float64{.5, 0}},
		{"karcher", nil, m{{0, 0}, {0, 0}}, nil, Params{"max_iter": 10, "tol": 1e-5}, []float64{0, 0}},
		{"model_stock", b, m{x, y}, nil, Params{}, []float64{.3544357, -.1044356, -.0933467, 1.2911286, -1.2911286, .8082256, -.2037902, .4455645}},
		{"model_stock", b, m{x, y}, nil, Params{"filter_wise": 1}, []float64{.3219812, -.0719808, -.1420286, 1.3560376, -1.5714312, .8642864, -.4000023, .585716}},
		{"nearswap", b, m{x}, nil, Params{"t": .05}, []float64{.55, -.2, .125, .95, -1.05, .7, .05, .35}},
	} {
		shape := []int64{int64(len(c.want))}
		if len(c.want) == 8 {
			shape = []int64{2, 4}
		}
		in := tensorOf(format.F32, shape, c.base, c.models, c.shared, c.weights)
		got := fusetest.Unpack(fuse.Operand{DType: format.F32, Data: in.Drive(t, merging(c.method, in.Jobs, fuse.StopNonfinite), 1)[0]})
		for i := range got {
			// The vectors of .05 and the like leave model_stock few digits; mergekit has float32 cosines.
			if !(math.Abs(got[i]-c.want[i]) < 3e-6) {
				t.Errorf("%s %v: element %d is %v, mergekit has %v", c.method, c.shared, i, got[i], c.want[i])
				break
			}
		}
	}
}

type sphereCase struct {
	method  string
	shared  Params
	weights []float64
	models  int
	how     string
	f       pointwise
}

func sphereCases() []sphereCase {
	var cases []sphereCase
	w2, w3 := []float64{0.7, 0.4}, []float64{0.5, 0.3, 0.4}
	for _, t := range []float64{0, 0.3, 1, 1.5} {
		cases = append(cases, sphereCase{"slerp", Params{"t": t}, nil, 2, "", slerpReference(t)})
	}
	for _, base := range []float64{0, 1} {
		cases = append(cases,
			sphereCase{"nuslerp", Params{"nuslerp_flatten": 1, "with_base": base}, w2, 2, "", nuslerpReference(w2)},
			sphereCase{"nuslerp", Params{"with_base": base}, w2, 2, "last", nuslerpReference(w2)},
			sphereCase{"nuslerp", Params{"nuslerp_row_wise": 1, "with_base": base}, w2, 2, "first", nuslerpReference(w2)},
			sphereCase{"multislerp", Params{"normalize_weights": 1, "eps": 1e-8, "with_base": base}, w3, 3, "", multislerpReference(w3, true, 1e-8)},
			sphereCase{"multislerp", Params{"eps": 1e-3, "with_base": base}, w3, 3, "", multislerpReference(w3, false, 1e-3)},
			sphereCase{"multislerp", Params{"normalize_weights": 1, "eps": 1e-8, "with_base": base}, []float64{1, 1}, 2, "", multislerpReference([]float64{1, 1}, true, 1e-8)})
	}
	for _, n := range []int{2, 3, 5} {
		cases = append(cases,
			sphereCase{"karcher", Params{"max_iter": 10, "tol": 1e-5}, nil, n, "", karcherReference(10, 1e-5)},
			sphereCase{"model_stock", Params{"with_base": 1}, nil, n, "", stockReference},
			sphereCase{"model_stock", Params{"with_base": 1, "filter_wise": 1}, nil, n, "last", stockReference})
	}
	return cases
}

// sphereModels are a base and models of one kind.
func sphereModels(r *rand.Rand, kind string, n, models int) (base []float64, thetas [][]float64) {
	normal := func(scale float64) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = scale * r.NormFloat64()
		}
		return x
	}
	base = normal(1)
	for range models {
		switch kind {
		case "tuned":
			thetas = append(thetas, sumOf([]float64{1, 1}, base, normal(0.1)))
		case "far":
			thetas = append(thetas, normal(1))
		case "same":
			thetas = append(thetas, base)
		case "zero":
			thetas = append(thetas, make([]float64, n))
		}
	}
	switch kind {
	case "one zero":
		thetas = [][]float64{make([]float64, n)}
		for range models - 1 {
			thetas = append(thetas, normal(1))
		}
	case "opposite":
		clear(base)
		x := normal(1)
		for k := range models {
			thetas = append(thetas, times([]float64{1, -2}[k%2], x))
		}
	}
	return base, thetas
}

var sphereShapes = [][]int64{{}, {1}, {9}, {17000}, {7, 5}, {1, 300}, {300, 1}, {3, 9001}, {1, 17000}, {300, 40}, {4, 3, 5}, {1, 4, 3000}, {2, 3, 3001}, {1, 3001, 3}, {1, 2, 9000}}

func TestSphereEqualsReference(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	tolerances := map[format.DType]float64{format.F32: 2e-6, format.BF16: 0x1p-8, format.F64: 1e-12}
	for _, c := range sphereCases() {
		for _, shape := range sphereShapes {
			for _, kind := range []string{"tuned", "far", "same", "zero", "one zero", "opposite"} {
				dtype := []format.DType{format.F32, format.BF16, format.F64}[r.IntN(3)]
				n := int((format.Tensor{Shape: shape}).Elements())
				base, thetas := sphereModels(r, kind, n, c.models)
				in := tensorOf(dtype, shape, base, thetas, c.shared, c.weights)
				if want, got := c.reference(in), in.Drive(t, merging(c.method, in.Jobs, fuse.StopNonfinite), 3)[0]; !nearly(got, want, dtype, tolerances[dtype]) {
					t.Errorf("%s %v, %v models, %v %v %s: not what the reference has", c.method, c.shared, c.models, dtype, shape, kind)
				}
			}
		}
	}
}

// reference merges the tensor of in.
func (c sphereCase) reference(in *fusetest.Merge) []float64 {
	base := fusetest.Unpack(in.Base[0])
	var v [][]float64
	for k := range in.Models {
		x := fusetest.Unpack(in.Models[k][0])
		if c.shared.Bool("with_base") {
			x = sumOf([]float64{1, -1}, x, base)
			if !in.Jobs[0].Wide {
				for i := range x {
					x[i] = float64(float32(x[i]))
				}
			}
		}
		v = append(v, x)
	}
	out := along(c.how, in.Jobs[0].Shape, v, c.f)
	if c.shared.Bool("with_base") {
		return sumOf([]float64{1, 1}, out, base)
	}
	return out
}

// nearly compares a tensor with what it should be. Where results are far larger than the models,
// whose elements are about 1, points were nearly opposite, and errors grow with the cube: by
// 1/sin φ for the angle, again for its sine, and for the coefficient.
func nearly(got []byte, want []float64, dtype format.DType, tolerance float64) bool {
	size := 1.0
	for _, x := range want {
		size = max(size, math.Abs(x))
	}
	for i, x := range fusetest.Unpack(fuse.Operand{DType: dtype, Data: got}) {
		if !(math.Abs(x-want[i]) <= tolerance*size*size*size) {
			return false
		}
	}
	return true
}

func TestSphereIgnoresSpans(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for _, c := range sphereCases() {
		for _, shape := range [][]int64{{50000}, {600, 40}, {3, 9001}, {5, 3, 3001}, {5, 3001, 3}} {
			n := int((format.Tensor{Shape: shape}).Elements())
			base, thetas := sphereModels(r, "tuned", n, c.models)
			in := tensorOf(format.F32, shape, base, thetas, c.shared, c.weights)
			want := in.Drive(t, merging(c.method, in.Jobs, fuse.StopNonfinite), 1)[0]
			for seed := range uint64(4) {
				if got := in.Drive(t, merging(c.method, in.Jobs, fuse.StopNonfinite), seed+2)[0]; !bytes.Equal(got, want) {
					t.Fatalf("%s %v %v: other spans, other bytes", c.method, c.shared, shape)
				}
			}
		}
	}
}

// TestSphereKeepsMasks demands that infinities that all sources agree on stay and bend nothing.
func TestSphereKeepsMasks(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	cases := append(sphereCases(), sphereCase{"nearswap", Params{"t": 0.01}, nil, 1, "", nil})
	for _, c := range cases {
		for _, shape := range [][]int64{{40, 30}, {3, 9001}, {4, 3000}} {
			n := int((format.Tensor{Shape: shape}).Elements())
			base, thetas := sphereModels(r, "tuned", n, c.models)
			places := []int{0, 7, n - 1}
			dtype := []format.DType{format.F32, format.BF16}[r.IntN(2)]
			set := func(value float64) []float64 {
				for _, i := range places {
					base[i] = value
					for _, theta := range thetas {
						theta[i] = value
					}
				}
				in := tensorOf(dtype, shape, base, thetas, c.shared, c.weights)
				return fusetest.Unpack(fuse.Operand{DType: dtype, Data: in.Drive(t, merging(c.method, in.Jobs, fuse.StopNonfinite), 1)[0]})
			}
			want := set(0)
			got := set(math.Inf(-1))
			for _, i := range places {
				want[i] = math.Inf(-1)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s %v %v: a mask does not stay, or bends the rest", c.method, c.shared, shape)
			}
		}
	}
}

func TestSphereReportsNonfinite(t *testing.T) {
	for _, c := range append(sphereCases(), sphereCase{"nearswap", Params{"t": 0.01}, nil, 1, "", nil}) {
		for _, odd := range []float64{math.NaN(), math.Inf(1)} {
			base, thetas := sphereModels(rand.New(rand.NewPCG(1, 1)), "tuned", 60, c.models)
			thetas[0][7] = odd
			in := tensorOf(format.F32, []int64{12, 5}, base, thetas, c.shared, c.weights)
			m := merging(c.method, in.Jobs, fuse.PropagateNonfinite)
			got := fusetest.Unpack(fuse.Operand{DType: format.F32, Data: in.Drive(t, m, 1)[0]})
			if x := got[7]; x-x == 0 || m.Results()[0].Nonfinite == 0 {
				t.Errorf("%s %v: %v became %v, %d counted", c.method, c.shared, odd, x, m.Results()[0].Nonfinite)
			}
		}
	}
}

// TestSphereBlames demands that of a vector in several tiles the element is named that is not finite, not the
// first that it makes NaN of; but none that all models have.
func TestSphereBlames(t *testing.T) {
	for _, c := range sphereCases() {
		if c.how != "" {
			continue
		}
		for _, dtype := range []format.DType{format.F32, format.BF16, format.F64} {
			base, thetas := sphereModels(rand.New(rand.NewPCG(1, 1)), "tuned", 30000, c.models)
			base[100] = math.Inf(-1)
			for _, theta := range thetas {
				theta[100] = math.Inf(-1)
			}
			thetas[1][12345] = math.Inf(1)
			thetas[0][20000] = math.NaN()
			in := tensorOf(dtype, []int64{30000}, base, thetas, c.shared, c.weights)
			measuring := merging(c.method, in.Jobs, fuse.StopNonfinite).Fuse(0)[0]
			if err := measuring.Span(new(fuse.Scratch), in.Span(0, measuring.Reads(), 0, in.Jobs[0].Tiling.Count(), nil)); err != nil {
				t.Fatal(err)
			}
			err := measuring.End()
			var odd *fuse.NonfiniteError
			if !errors.As(err, &odd) || odd.Index != 12345 || odd.Model != 1 || odd.Tensor != "x" {
				t.Errorf("%s %v %v: %v", c.method, c.shared, dtype, err)
			}
		}
	}
}

// TestSphereOfOneModel demands that a tensor that only one model has stays as it is there.
func TestSphereOfOneModel(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for _, c := range sphereCases() {
		base, thetas := sphereModels(r, "far", 60, c.models)
		in := tensorOf(format.F32, []int64{12, 5}, base, thetas, c.shared, c.weights)
		want := in.Models[1][0].Data
		for k := range in.Models {
			if k != 1 {
				in.Models[k][0].Data = nil
				in.Jobs[0].Models[k].Absent = true
			}
		}
		if c.method == "model_stock" {
			want = in.Base[0].Data
		}
		if got := in.Drive(t, merging(c.method, in.Jobs, fuse.StopNonfinite), 1)[0]; !bytes.Equal(got, want) {
			t.Errorf("%s %v: a tensor of one model changed", c.method, c.shared)
		}
	}
}

func TestMultislerpRefusesWeightsOfZero(t *testing.T) {
	shared := Params{"normalize_weights": 1, "eps": 1e-8}
	in := tensorOf(format.F32, []int64{2}, nil, [][]float64{{1, 2}, {2, 1}}, shared, []float64{1, -1})
	stage := merging("multislerp", in.Jobs, fuse.StopNonfinite).Fuse(0)[0]
	if err := stage.Span(nil, nil); err == nil {
		t.Error("no error")
	}
}
