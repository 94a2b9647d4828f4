package selective

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"weld/format"
	"weld/scoring"
	"weld/stream/fuse"
	"weld/stream/fuse/fusetest"
)

// curvatures are a of model m in every tensor, in float64; nil where its file lacks it.
func curvatures(o Options, in *fusetest.Merge, m int) [][]float64 {
	all := make([][]float64, len(in.Jobs))
	for j, job := range in.Jobs {
		if in.Importance[m][j].Data == nil {
			continue
		}
		v := fusetest.Unpack(in.Importance[m][j])
		rows, columns := make(map[int]float64), make(map[int]float64)
		total, width := 0.0, int(job.Tiling.RowLen())
		for i := range v {
			if o.Models[m].Statistic.IsMagnitude() {
				v[i] *= v[i]
			}
			rows[i/width] += v[i]
			columns[i%width] += v[i]
			total += v[i]
		}
		for i := range v {
			if o.RankOne && len(job.Shape) == 2 && total > 0 {
				v[i] = rows[i/width] * columns[i%width] / total
			}
			v[i] = math.Sqrt(v[i])
		}
		all[j] = v
	}
	return all
}

// weighed is the merge over whole models, with sorts; unsure are elements whose rank is for rounding to decide,
// whole the models of which everything is kept.
func weighed(o Options, in *fusetest.Merge) (out [][]float64, unsure [][]bool, whole []bool) {
	num, den := make([][]float64, len(in.Jobs)), make([][]float64, len(in.Jobs))
	for j := range in.Jobs {
		n := in.Jobs[j].Tiling.Elements()
		num[j], den[j], unsure = make([]float64, n), make([]float64, n), append(unsure, make([]bool, n))
	}
	for m, model := range o.Models {
		a := curvatures(o, in, m)
		var all []float64
		scores := make([][]float64, len(in.Jobs))
		for j := range in.Jobs {
			for i, d := range fusetest.Deltas[float64](in, m, j) {
				if a[j] != nil {
					scores[j] = append(scores[j], a[j][i]*math.Abs(d))
				}
			}
			all = append(all, scores[j]...)
		}
		slices.Sort(all)
		cut, k := math.Inf(1), int(math.Ceil(model.Density*float64(len(all))))
		if k > 0 {
			cut = all[len(all)-k]
		}
		whole = append(whole, model.Density == 1 || cut == 0)
		for j := range in.Jobs {
			deltas := fusetest.Deltas[float64](in, m, j)
			for i, s := range scores[j] {
				unsure[j][i] = unsure[j][i] || model.Density < 1 && math.Abs(s/cut-1) < 1e-5
				if s >= cut {
					num[j][i] += model.Weight * a[j][i] * deltas[i]
					den[j][i] += model.Weight * a[j][i]
				}
			}
		}
	}
	for j := range in.Jobs {
		x := fusetest.Unpack(in.Base[j])
		for i := range x {
			if den[j][i] != 0 {
				x[i] += num[j][i] / den[j][i]
			}
		}
		out = append(out, x)
	}
	return out, unsure, whole
}

// curvatureOptions draws what is weighed by second moments.
func curvatureOptions(r *rand.Rand) Options {
	o := Options{Score: scoring.Delta, Normalization: scoring.Raw, Combine: ByCurvature, Lambda: 1, RankOne: r.IntN(2) == 0}
	for range 3 {
		o.Models = append(o.Models, TaskVector{Weight: 0.2 + r.Float64(), Density: []float64{0, 0.01, 0.3, 0.8, 1}[r.IntN(5)], Statistic: scoring.Statistic(r.IntN(5))})
	}
	return o
}

// The quantile goes over all tensors of a model, matrices by their factors.
func TestCurvatureEqualsReference(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 32))
	for _, dtype := range []format.DType{format.F32, format.BF16, format.F64} {
		in := fusetest.Fixture(uint64(dtype), dtype, 3)
		for j := range in.Jobs {
			if dtype == format.BF16 {
				in.Jobs[j].DType = format.F32 // results that are not rounded to 8 bits
			}
		}
		for trial := range 12 {
			o := curvatureOptions(r)
			want, unsure, whole := weighed(o, in)
			got := in.Drive(t, o.Method(in.Jobs), uint64(trial))
			for j := range want {
				x, plain := fusetest.Unpack(fuse.Operand{DType: in.Jobs[j].DType, Data: got[j]}), unweighed(in, whole, j)
				for i := range x {
					if !unsure[j][i] && !plain[i] && math.Abs(x[i]-want[j][i]) > 2e-6*max(1, math.Abs(want[j][i])) {
						t.Fatalf("%v, trial %d, tensor %d, element %d: %v, want %v\n%+v", dtype, trial, j, i, x[i], want[j][i], o)
					}
				}
			}
		}
	}
}

// unweighed are the elements of which no model that is taken whole knows anything: these become a plain mean, which the test of ota has.
func unweighed(in *fusetest.Merge, whole []bool, j int) []bool {
	plain := make([]bool, in.Jobs[j].Tiling.Elements())
	for i := range plain {
		plain[i] = slices.Contains(whole, true)
	}
	for m := range whole {
		if a := in.Importance[m][j]; whole[m] && a.Data != nil {
			for i, x := range fusetest.Unpack(a) {
				plain[i] = plain[i] && x == 0
			}
		}
	}
	return plain
}

// Neither spans nor workers decide about sums over rows and columns, to the bit.
func TestFactorsAreIndependentOfSpans(t *testing.T) {
	in := fusetest.Fixture(4, format.F32, 2)
	o := Options{Score: scoring.Delta, Normalization: scoring.Raw, Combine: ByCurvature, Lambda: 1, RankOne: true,
		Models: []TaskVector{{Weight: 1, Density: 0.3, Statistic: scoring.AdamSecondMoment}, {Weight: 1, Density: 1}}}
	want := in.Drive(t, o.Method(in.Jobs), 0)
	for seed := range uint64(12) {
		for j, got := range in.Drive(t, o.Method(in.Jobs), seed) {
			if !bytes.Equal(got, want[j]) {
				t.Fatalf("seed %d: tensor %d differs", seed, j)
			}
		}
	}
}

// Nothing of a matrix's sums is left when its chain is through, and what a chain holds is what was counted.
func TestFactorsAreForgotten(t *testing.T) {
	in := fusetest.Fixture(5, format.F32, 2)
	o := Options{Score: scoring.Delta, Normalization: scoring.Raw, Combine: ByCurvature, Lambda: 1, RankOne: true,
		Models: []TaskVector{{Weight: 1, Density: 0.3}, {Weight: 1, Density: 0.1}}}
	m := o.Method(in.Jobs).(*merge)
	r := rand.New(rand.NewPCG(1, 1))
	walk := func(p *fuse.Pass) {
		for job := range in.Jobs {
			in.Chain(t, r, job, p.Chain(job), nil)
			for k := range m.tensors[job].models {
				if m.tensors[job].models[k].factors != nil {
					t.Fatalf("%s: tensor %d keeps its factors", p.Name, job)
				}
			}
		}
	}
	for p := m.Next(); p != nil; p = m.Next() {
		walk(p)
		if err := p.End(); err != nil {
			t.Fatal(err)
		}
	}
	walk(m.Survey())
	// 97 rows of 211: sums of rows and their roots, the largest of columns, their sums and roots.
	if got, want := m.tensors[0].factorBytes(), int64(2*(97*(8+4)+211*(8+8+4))); got != want {
		t.Errorf("a matrix is said to hold %d bytes, and holds %d", got, want)
	}
	if m.tensors[2].factored() || m.tensors[3].factored() {
		t.Error("what is no matrix is taken by factors")
	}
}
