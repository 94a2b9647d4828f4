package methods

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"weld/format"
	"weld/stream/fuse"
	"weld/stream/fuse/fusetest"
	"weld/stream/fuse/sparsify"
)

// trial is a recipe of generalised task arithmetic.
type trial struct {
	method string
	shared Params
	models []Params
}

// in gives jobs the parameters of a trial.
func (r trial) in(jobs fuse.List) fuse.List {
	var list []fuse.Job
	for _, j := range jobs {
		j.Params = r.shared
		j.Models = nil
		for _, p := range r.models {
			j.Models = append(j.Models, fuse.Contribution{Params: p})
		}
		list = append(list, j)
	}
	return list
}

// tensors makes models of tensors of the given shapes: some deltas are 0, and of bfloat16 many are
// equal.
func tensors(seed uint64, dtype format.DType, models int, shapes ...[]int64) *fusetest.Merge {
	r := rand.New(rand.NewPCG(seed, 5))
	in := &fusetest.Merge{Models: make([]fusetest.Weights, models)}
	for i, shape := range shapes {
		x := format.Tensor{Name: fmt.Sprintf("t%d", i), DType: dtype, Shape: shape}
		in.Jobs = append(in.Jobs, fuse.Job{Name: x.Name, Shape: shape, DType: dtype, Wide: dtype == format.F64, Tiling: fuse.NewTiling(x.Elements(), x.RowLen())})
		base := make([]float64, x.Elements())
		for k := range base {
			base[k] = r.NormFloat64()
		}
		in.Base = append(in.Base, fusetest.Pack(dtype, base))
		for m := range models {
			theta := make([]float64, len(base))
			for k := range theta {
				theta[k] = base[k]
				if r.IntN(8) > 0 {
					theta[k] += 0.05 * r.NormFloat64()
				}
			}
			in.Models[m] = append(in.Models[m], fusetest.Pack(dtype, theta))
		}
	}
	return in
}

var (
	gtaShapes = [][]int64{{97, 211}, {3, 9001}, {501}, {40, 2, 7}, {}, {1}, {0, 4}, {7, 1}, {2, 3, 8200}, {20011}, {2, 20011}, {5, 130, 70}}
	longRows  = [][]int64{{2, 262145}, {300001}}
)

func TestGTAEqualsReference(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 32))
	methods := []string{"task_arithmetic", "ties", "dare_linear", "dare_ties", "breadcrumbs", "breadcrumbs_ties", "della_linear", "della"}
	for _, dtype := range []format.DType{format.F32, format.BF16, format.F64} {
		in := tensors(uint64(dtype), dtype, 3, gtaShapes...)
		long := tensors(uint64(dtype)+1, dtype, 3, longRows...)
		for i, method := range slices.Concat(methods, methods, []string{"della"}) {
			o, in := randomTrial(r, method, 3), in
			if i == 2*len(methods) {
				in = long
			}
			jobs := o.in(in.Jobs)
			run := &fusetest.Merge{Jobs: jobs, Base: in.Base, Models: in.Models}
			got := run.Drive(t, merging(method, jobs, fuse.StopNonfinite), uint64(i))
			for j := range jobs {
				var want []float64
				if dtype == format.F64 {
					want = gtaReference[float64](o, run, j)
				} else {
					want = gtaReference[float32](o, run, j)
				}
				tolerance := map[format.DType]float64{format.F32: 1e-6, format.BF16: 1.0 / 128, format.F64: 1e-14}[dtype]
				for k, x := range fusetest.Unpack(fuse.Operand{DType: dtype, Data: got[j]}) {
					if math.Abs(x-want[k]) > tolerance*max(math.Abs(want[k]), 0.1) {
						t.Errorf("%v %+v: %v, element %d is %v, want %v", dtype, o, jobs[j].Shape, k, x, want[k])
						break
					}
				}
			}
		}
	}
}

func randomTrial(r *rand.Rand, method string, models int) trial {
	pick := func(x ...float64) float64 { return x[r.IntN(len(x))] }
	o := trial{method: method, shared: Params{
		"lambda": pick(1, 0.7, -0.3), "normalize": pick(0, 1), "rescale": pick(0, 1), "seed": pick(0, 1, 1<<53),
	}}
	for range models {
		p := Params{"weight": pick(1, 0.4, -1, 0.3), "density": pick(0, 0.0001, 0.3, 0.5, 0.8, 0.99, 1), "gamma": pick(0, 0.01, 0.3), "epsilon": pick(0.15, 0.05)}
		if strings.HasPrefix(method, "della") && p["density"] > 0.8 {
			p["density"] = pick(0.2, 1)
		}
		o.models = append(o.models, p)
	}
	return o
}

// Without a sparsifier and consensus it is the task arithmetic of task_arithmetic.go, to the bit.
func TestGTAWithoutSparsifierIsTaskArithmetic(t *testing.T) {
	r := rand.New(rand.NewPCG(41, 42))
	for _, dtype := range []format.DType{format.F32, format.BF16, format.F64} {
		in := fusetest.Fixture(uint64(dtype)+7, dtype, 3)
		for i := range 10 {
			jobs := randomTrial(r, "task_arithmetic", 3).in(in.Jobs)
			run := &fusetest.Merge{Jobs: jobs, Base: in.Base, Models: in.Models}
			want := run.Drive(t, merging("task_arithmetic", jobs, fuse.StopNonfinite), 1)
			plain := sparseFormula[sparseParams, sparseModel](sparsify.Dense, false).untyped().Method(typed("ties", jobs), fuse.StopNonfinite)
			for j, got := range run.Drive(t, plain, uint64(i)) {
				if !bytes.Equal(got, want[j]) {
					t.Errorf("%v, trial %d: tensor %d differs", dtype, i, j)
				}
			}
		}
	}
}

// The order of the spans, and who works on them, makes no difference.
func TestGTADoesNotDependOnSpans(t *testing.T) {
	r := rand.New(rand.NewPCG(51, 52))
	in := tensors(9, format.BF16, 2, slices.Concat(gtaShapes, longRows)...)
	for _, method := range []string{"ties", "dare_linear", "dare_ties", "breadcrumbs", "breadcrumbs_ties", "della_linear", "della"} {
		o := randomTrial(r, method, 2)
		o.shared["rescale"] = 1
		o.models[0]["density"], o.models[1]["density"] = 0.3, 0.6
		run := &fusetest.Merge{Jobs: o.in(in.Jobs), Base: in.Base, Models: in.Models}
		want := run.Drive(t, merging(method, run.Jobs, fuse.StopNonfinite), 1)
		for seed := range uint64(4) {
			for j, got := range run.Drive(t, merging(method, run.Jobs, fuse.StopNonfinite), seed+2) {
				if !bytes.Equal(got, want[j]) {
					t.Errorf("%s: %v differs", method, run.Jobs[j].Shape)
				}
			}
		}
	}
}

// What is not finite changes nothing but its own element: it counts as large where elements are
// ranked, and not at all where they are summed up.
func TestGTANonfinite(t *testing.T) {
	for _, c := range []struct {
		method  string
		rescale float64
		as      float64 // the other elements are as if it were this
	}{{"ties", 0, 1e6}, {"breadcrumbs", 0, 1e6}, {"della", 0, 1e6}, {"dare_ties", 1, 0}} {
		merge := func(odd ...float64) []float64 {
			in := tensors(4, format.F32, 2, []int64{30, 400})
			for m := range odd {
				x := fusetest.Unpack(in.Models[m][0])
				x[777] = fusetest.Unpack(in.Base[0])[777] + odd[m]
				in.Models[m][0] = fusetest.Pack(format.F32, x)
			}
			in.Jobs = trial{shared: Params{"lambda": 1, "rescale": c.rescale, "normalize": 1}, models: []Params{
				{"weight": 1, "density": 0.6, "gamma": 0.1, "epsilon": 0.1}, {"weight": 0.5, "density": 0.5, "gamma": 0.1, "epsilon": 0.1}}}.in(in.Jobs)
			return fusetest.Unpack(fuse.Operand{DType: format.F32, Data: in.Drive(t, merging(c.method, in.Jobs, fuse.PropagateNonfinite), 1)[0]})
		}
		want := merge(c.as, c.as)
		for i, x := range merge(math.Inf(1), math.NaN()) {
			if i != 777 && x != want[i] {
				t.Errorf("%s: element %d is %v, want %v", c.method, i, x, want[i])
				break
			}
		}
	}
}

// A model that lacks a tensor is as one of which nothing is kept.
func TestGTAAbsent(t *testing.T) {
	in := tensors(14, format.F32, 3, []int64{30, 400}, []int64{9001})
	o := trial{method: "della", shared: Params{"lambda": 1, "rescale": 1, "normalize": 1}, models: []Params{
		{"weight": 1, "density": 0.6, "epsilon": 0.1}, {"weight": 1, "density": 0.5, "epsilon": 0.1}, {"weight": 0.5, "density": 0.5, "epsilon": 0.1}}}
	for _, o.method = range []string{"ties", "dare_ties", "della", "breadcrumbs"} {
		if o.method == "breadcrumbs" {
			o.shared["normalize"] = 0 // without consensus, a weight counts in the divisor though nothing is kept
		}
		silent := o
		silent.models = slices.Clone(o.models)
		silent.models[1] = Params{"weight": 1, "density": 0}
		quiet := &fusetest.Merge{Jobs: silent.in(in.Jobs), Base: in.Base, Models: in.Models}
		want := quiet.Drive(t, merging(o.method, quiet.Jobs, fuse.StopNonfinite), 1)
		jobs := o.in(in.Jobs)
		run := &fusetest.Merge{Jobs: jobs, Base: in.Base, Models: []fusetest.Weights{in.Models[0], make(fusetest.Weights, 2), in.Models[2]}}
		for j := range jobs {
			jobs[j].Models[1].Absent = true
		}
		for j, got := range run.Drive(t, merging(o.method, jobs, fuse.StopNonfinite), 3) {
			if !bytes.Equal(got, want[j]) {
				t.Errorf("%s: tensor %d differs", o.method, j)
			}
		}
	}
}

// Merges that walk a tensor together are what they are alone, whatever each keeps.
func TestGTAJoint(t *testing.T) {
	for _, method := range []string{"ties", "dare_ties", "breadcrumbs", "della"} {
		in := tensors(21, format.BF16, 2, []int64{97, 211}, []int64{3, 9001}, []int64{501}, []int64{20011})
		var methods []func() fuse.Method
		for _, density := range []float64{1, 0.5, 0} {
			for _, rescale := range []float64{0, 1} {
				o := trial{shared: Params{"lambda": 1, "rescale": rescale, "normalize": 1}, models: []Params{
					{"weight": 1, "density": density, "gamma": 0.1, "epsilon": 0.1}, {"weight": 0.5, "density": density, "gamma": 0.1, "epsilon": 0.1}}}
				methods = append(methods, func() fuse.Method { return merging(method, o.in(in.Jobs), fuse.StopNonfinite) })
			}
		}
		var all []fuse.Method
		for _, m := range methods {
			all = append(all, m())
		}
		joint := fuse.Joint(all)
		for job, j := range in.Jobs {
			stages := joint.Fuse(job)
			tiling := j.Tiling
			outs := make([][]byte, len(methods))
			for v := range outs {
				outs[v] = make([]byte, 2*tiling.Elements())
			}
			if s, ok := stages[0].(fuse.Sampling); ok {
				tiling = s.Tiling()
			}
			var scratch fuse.Scratch
			for i, st := range stages {
				if o, ok := st.(fuse.Optional); ok && o.Skip() {
					continue
				}
				sp := in.Cut(job, tiling, st.Reads(), 0, tiling.Count(), nil)
				if i == len(stages)-1 {
					sp.Outs = outs
				}
				if err := st.Span(&scratch, sp); err != nil {
					t.Fatal(err)
				}
				if err := st.End(); err != nil {
					t.Fatal(err)
				}
			}
			for v, m := range methods {
				if want := in.Drive(t, m(), 8)[job]; !bytes.Equal(outs[v], want) {
					t.Errorf("%s: tensor %d of merge %d differs", method, job, v)
				}
			}
		}
	}
}
