package methods

import (
	"bytes"
	"cmp"
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
func tensors(seed uint64, dtype format.DType, models int, shapes ...[]int64) *fusetest.Inputs {
	r := rand.New(rand.NewPCG(seed, 5))
	in := &fusetest.Inputs{Models: make([]fusetest.Checkpoint, models)}
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
			run := &fusetest.Inputs{Jobs: jobs, Base: in.Base, Models: in.Models}
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

// gtaReference is the formula of generalised task arithmetic in docs/methods.md, with sorts and whole tensors. Only
// magnitudes and votes are of the type that a merge has, because they are compared.
func gtaReference[T fusetest.Real](o trial, in *fusetest.Inputs, j int) []float64 {
	job, base := in.Jobs[j], fusetest.Decoded[T](in.Base[j])
	taus := make([][]float64, len(o.models))
	for m := range taus {
		delta := fusetest.Deltas[T](in, m, j)
		size := make([]float32, len(delta))
		for i, d := range delta {
			size[i] = float32(math.Abs(float64(d)))
		}
		keep := gtaMask(o, m, job, size)
		taus[m] = make([]float64, len(delta))
		var before, after float64
		for i, d := range delta {
			before += math.Abs(float64(d))
			if keep[i] {
				taus[m][i] = float64(d)
				after += math.Abs(float64(d))
			}
		}
		if o.shared.Bool("rescale") && o.method != "task_arithmetic" && before >= 1e-7 && after >= 1e-7 {
			for i := range taus[m] {
				taus[m][i] *= float64(float32(before / after))
			}
		}
	}
	out := make([]float64, len(base))
	var weights float64
	for _, p := range o.models {
		weights += p["weight"]
	}
	if math.Abs(weights) < 1e-8 {
		weights = 1
	}
	consensus := o.method == "della" || strings.HasSuffix(o.method, "ties")
	for i := range out {
		var votes T
		for m, p := range o.models {
			votes += T(T(p["weight"]) * T(taus[m][i]))
		}
		var d, z float64
		for m, p := range o.models {
			x := p["weight"] * taus[m][i]
			if !consensus {
				d += x
			} else if x != 0 && (x > 0) == (votes >= 0) {
				d += x
				z = float64(T(z) + T(p["weight"]))
			}
		}
		switch {
		case !o.shared.Bool("normalize"):
		case !consensus:
			d /= weights
		case z != 0:
			d /= z
		}
		out[i] = float64(base[i]) + o.shared["lambda"]*d
	}
	return out
}

// gtaMask is what model m keeps of a tensor, given the magnitudes.
func gtaMask(o trial, m int, job fuse.Job, size []float32) []bool {
	p, n := o.models[m], len(size)
	d, keep := p["density"], make([]bool, n)
	for i := range keep {
		keep[i] = true
	}
	if d >= 1 || o.method == "task_arithmetic" {
		return keep
	}
	if d <= 0 {
		return make([]bool, n)
	}
	random := make([]float64, n) // in [0, 1)
	for i, x := range sparsify.NewNoise(uint64(o.shared["seed"]), m, job.Name).Numbers(make([]int32, n+64), 0, int64(n)) {
		random[i] = float64(x) / (1 << 31)
	}
	// order of the indices in [lo, hi), the smallest first.
	order := func(lo, hi int, later int) []int {
		var at []int
		for i := lo; i < hi; i++ {
			at = append(at, i)
		}
		slices.SortFunc(at, func(a, b int) int {
			if c := cmp.Compare(size[a], size[b]); c != 0 {
				return c
			}
			return later * cmp.Compare(a, b)
		})
		return at
	}
	switch {
	case o.method == "ties":
		for _, i := range order(0, n, -1)[:max(0, n-max(1, int(d*float64(n))))] {
			keep[i] = false
		}
	case strings.HasPrefix(o.method, "breadcrumbs"):
		target, top := int(d*float64(n)), int(p["gamma"]*float64(n))
		bottom := max(0, n-target-top)
		clear(keep)
		for _, i := range order(0, n, -1)[bottom : bottom+target] {
			keep[i] = true
		}
	case strings.HasPrefix(o.method, "dare"):
		mask := sparsify.NewNoise(uint64(o.shared["seed"]), m, job.Name).Mask(make([]uint32, n/32+4), 0, int64(n), d)
		for i := range keep {
			keep[i] = mask[i/32]>>(i%32)&1 == 1
		}
	default:
		length := 1
		if len(job.Shape) > 0 {
			length = int(job.Shape[len(job.Shape)-1])
		}
		part := length
		if parts := (length + 8191) / 8192; parts > 32 { // as ranks.go says
			few := (parts + 31) / 32
			part = (parts + few - 1) / few * ((length + parts - 1) / parts)
		}
		for row := 0; row < n; row += length {
			for lo := row; lo < row+length; lo += part {
				at := order(lo, min(lo+part, row+length), 1)
				for rank, i := range at {
					r := 0.5
					if len(at) > 1 {
						r = float64(rank) / float64(len(at)-1)
					}
					keep[i] = random[i] < d-p["epsilon"]+2*p["epsilon"]*r
				}
			}
		}
	}
	return keep
}

// Without a sparsifier and consensus it is the task arithmetic of task_arithmetic.go, to the bit.
func TestGTAWithoutSparsifierIsTaskArithmetic(t *testing.T) {
	r := rand.New(rand.NewPCG(41, 42))
	for _, dtype := range []format.DType{format.F32, format.BF16, format.F64} {
		in := fusetest.Fixture(uint64(dtype)+7, dtype, 3)
		for i := range 10 {
			jobs := randomTrial(r, "task_arithmetic", 3).in(in.Jobs)
			run := &fusetest.Inputs{Jobs: jobs, Base: in.Base, Models: in.Models}
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
		run := &fusetest.Inputs{Jobs: o.in(in.Jobs), Base: in.Base, Models: in.Models}
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
		quiet := &fusetest.Inputs{Jobs: silent.in(in.Jobs), Base: in.Base, Models: in.Models}
		want := quiet.Drive(t, merging(o.method, quiet.Jobs, fuse.StopNonfinite), 1)
		jobs := o.in(in.Jobs)
		run := &fusetest.Inputs{Jobs: jobs, Base: in.Base, Models: []fusetest.Checkpoint{in.Models[0], make(fusetest.Checkpoint, 2), in.Models[2]}}
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
