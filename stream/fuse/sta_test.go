package fuse

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"weld/format"
	"weld/scoring"
)

// fixture makes models of awkward shapes: rows longer than a tile, rows that do not
// fill one, a vector, tied scores, a tensor equal to the base, an empty one.
func fixture(seed uint64, dtype format.DType, models int) *inputs {
	r := rand.New(rand.NewPCG(seed, 3))
	in := &inputs{models: make([]source, models), importance: make([]source, models)}
	for i, shape := range [][]int64{{97, 211}, {3, 9001}, {501}, {40, 2, 7}, {}, {20, 30}, {0, 4}} {
		t := format.Tensor{Name: fmt.Sprintf("t%d", i), DType: dtype, Shape: shape}
		job := Job{Name: t.Name, Shape: shape, DType: dtype, Wide: dtype == format.F64, Tiling: NewTiling(t.Elements(), t.RowLen())}
		n := int(t.Elements())
		base := make([]float64, n)
		for k := range base {
			base[k] = r.NormFloat64()
		}
		in.base = append(in.base, pack(dtype, base))
		for m := range models {
			theta, g := make([]float64, n), make([]float64, n)
			for k := range theta {
				theta[k] = base[k]
				if i != 5 && r.IntN(4) > 0 {
					theta[k] += 0.05 * r.NormFloat64()
				}
				g[k] = math.Exp(2*r.NormFloat64()) * 1e-4
				if i == 3 {
					g[k] = float64(r.IntN(3)) // ties
				}
			}
			in.models[m] = append(in.models[m], pack(dtype, theta))
			importance := pack(format.F32, g)
			if i == 2 && m == 1 {
				importance = Operand{} // missing
			}
			in.importance[m] = append(in.importance[m], importance)
			job.Models = append(job.Models, Contribution{Importance: importance.Data != nil})
		}
		in.jobs = append(in.jobs, job)
	}
	return in
}

// randomSTA draws options.
func randomSTA(r *rand.Rand, models int) STA {
	o := STA{
		Score:         scoring.Score(r.IntN(5)),
		Normalization: scoring.Normalization(r.IntN(5)),
		Scope:         scoring.Scope(r.IntN(2)),
		Granularity:   scoring.Granularity(r.IntN(3)),
		Combine:       Combine(r.IntN(3)),
		Rescale:       Rescale(r.IntN(3)),
		Consensus:     r.IntN(3) == 0,
		Contrast:      r.IntN(4) == 0,
		KeepMissing:   r.IntN(2) == 0,
		Lambda:        []float64{1, 0.7, -0.3}[r.IntN(3)],
	}
	for range models {
		o.Models = append(o.Models, STAModel{
			Weight:    []float64{1, 0.4, -1}[r.IntN(3)],
			Density:   []float64{0, 0.003, 0.2, 0.5, 0.9, 1}[r.IntN(6)],
			Threshold: []float32{0, 0.5, 1e9}[r.IntN(3)],
			Fixed:     r.IntN(6) == 0,
			Statistic: scoring.Statistic(r.IntN(5)),
		})
	}
	return o
}

func TestSTAEqualsReference(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for _, dtype := range []format.DType{format.F32, format.BF16, format.F16, format.F64} {
		in := fixture(uint64(dtype), dtype, 3)
		for trial := range 25 {
			o := randomSTA(r, 3)
			m := o.Method(in.jobs)
			if trial%2 == 1 {
				sampling(m)
			}
			got := in.drive(t, m, uint64(trial))
			var want [][]byte
			if dtype == format.F64 {
				for _, x := range reference[float64](o, in) {
					want = append(want, encoded(dtype, x))
				}
			} else {
				for _, x := range reference[float32](o, in) {
					want = append(want, encoded(dtype, x))
				}
			}
			for j := range want {
				if !bytes.Equal(got[j], want[j]) {
					t.Errorf("%v, trial %d, tensor %d: differs from the reference\n%+v", dtype, trial, j, o)
				}
			}
		}
	}
}

// sampling has a method narrow its searches by samples, however small the tensors are.
func sampling(m Method) {
	x := m.(*sta)
	x.sampled, x.tabled, x.passes, x.TableBytes = 1000, 5000, nil, 32<<20
	x.schedule()
}

// Tensors that are large enough to be sampled well are summed up and counted in one walk,
// and the result is that of a sort, whatever the rows are like.
func TestSampledSTAEqualsReference(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	for _, dtype := range []format.DType{format.BF16, format.F32} {
		in := &inputs{models: make([]source, 2), importance: make([]source, 2)}
		for _, shape := range [][]int64{{320, 256}, {7, 9000}, {100}, {64, 1024}} {
			n := shape[0]
			if len(shape) > 1 {
				n *= shape[1]
			}
			row := n / shape[0]
			values := func(scale float64) Operand {
				x := make([]float64, n)
				for i := range x {
					x[i] = scale * (0.2 + float64(int64(i)/row%5)) * r.NormFloat64()
				}
				return pack(dtype, x)
			}
			scale := math.Exp(3 * r.NormFloat64())
			in.base = append(in.base, values(1))
			job := Job{Name: "w", Shape: shape, DType: dtype, Tiling: NewTiling(n, row)}
			for m := range in.models {
				in.models[m] = append(in.models[m], values(1))
				in.importance[m] = append(in.importance[m], values(scale))
				job.Models = append(job.Models, Contribution{Importance: true})
			}
			in.jobs = append(in.jobs, job)
		}
		settled := int64(0)
		for trial, n := range []scoring.Normalization{scoring.ByMean, scoring.Raw, scoring.ByL2, scoring.ByMax, scoring.ByRange, scoring.ByMean} {
			o := STA{Lambda: 0.7, Normalization: n, Score: scoring.Score(trial % 3), Models: []STAModel{{Weight: 1, Density: 0.2}, {Weight: 0.5, Density: 0.01}}}
			m := o.Method(in.jobs)
			sampling(m)
			got := in.drive(t, m, uint64(trial))
			for j, x := range reference[float32](o, in) {
				if !bytes.Equal(got[j], encoded(dtype, x)) {
					t.Errorf("%v, %v, tensor %d: differs from the reference", dtype, n, j)
				}
			}
			settled += m.(*sta).settled.Load()
		}
		// Scores of 16-bit numbers have few values; others take more bins than so small a sample
		// can do without.
		if dtype == format.BF16 && settled < 6 {
			t.Errorf("%v: only %d tensors were counted while they were summed up", dtype, settled)
		}
	}
}

func TestSTAIsIndependentOfSpans(t *testing.T) {
	in := fixture(1, format.BF16, 2)
	o := STA{Lambda: 1, Models: []STAModel{{Weight: 1, Density: 0.2}, {Weight: 1, Density: 0.2}}, KeepMissing: true}
	want := in.drive(t, o.Method(in.jobs), 0)
	for seed := range uint64(20) {
		for j, got := range in.drive(t, o.Method(in.jobs), seed) {
			if !bytes.Equal(got, want[j]) {
				t.Fatalf("seed %d: tensor %d differs", seed, j)
			}
		}
	}
}

// The results count what the masks kept.
func TestSTAResults(t *testing.T) {
	in := fixture(2, format.F32, 1)
	o := STA{Lambda: 1, Models: []STAModel{{Weight: 1, Density: 0.25}}}
	m := o.Method(in.jobs)
	in.drive(t, m, 1)
	var kept, n int64
	for _, r := range m.Results() {
		kept += r.Models[0].Kept
		n += r.Models[0].Elements
	}
	if want := scoring.Rank(0.25, n); kept < want || kept > want+200 { // ties at the cut
		t.Errorf("kept %d of %d, want %d or a few more", kept, n, want)
	}
}

func nonfiniteFixture() *inputs {
	inf, nan := math.Inf(1), math.NaN()
	in := &inputs{
		base:       source{pack(format.F32, []float64{1, -inf, nan, 2, 3})},
		models:     []source{{pack(format.F32, []float64{1.5, -inf, nan, 2.5, 3})}},
		importance: []source{{pack(format.F32, []float64{1, 1, 1, 1, 1})}},
	}
	in.jobs = []Job{{Name: "x", Shape: []int64{5}, DType: format.F32, Tiling: NewTiling(5, 1), Models: []Contribution{{Importance: true}}}}
	return in
}

// What has the same bits in all sources stays, finite or not.
func TestEqualBitsStay(t *testing.T) {
	in := nonfiniteFixture()
	o := STA{Lambda: 1, Models: []STAModel{{Weight: 1, Density: 0.4}}}
	got := unpack(Operand{format.F32, in.drive(t, o.Method(in.jobs), 1)[0]})
	if got[0] != 1 && got[0] != 1.5 || !math.IsInf(got[1], -1) || !math.IsNaN(got[2]) || got[4] != 3 {
		t.Errorf("got %v", got)
	}
}

// fuseOnce runs the fuse chain of a one-tensor merge and returns its error.
func (in *inputs) fuseOnce(m Method) ([]float64, error) {
	for pass := m.Next(); pass != nil; pass = m.Next() {
		for _, st := range pass.Chain(0) {
			if err := st.Span(new(Scratch), in.span(0, st.Reads(), 0, 1, nil)); err != nil {
				return nil, err
			}
			st.End()
		}
		if pass.End != nil {
			pass.End()
		}
	}
	out := make([]byte, len(in.base[0].Data))
	for _, st := range m.Fuse(0) {
		if o, ok := st.(Optional); ok && o.Idle() {
			continue
		}
		if err := st.Span(new(Scratch), in.span(0, st.Reads(), 0, 1, out)); err != nil {
			return nil, err
		}
		st.End()
	}
	return unpack(Operand{in.jobs[0].DType, out}), nil
}

func TestNonfinitePolicy(t *testing.T) {
	poison := func(model, importance float64) *inputs {
		in := nonfiniteFixture()
		in.models[0][0] = pack(format.F32, []float64{1.5, math.Inf(-1), math.NaN(), model, 3})
		in.importance[0][0] = pack(format.F32, []float64{1, 1, 1, importance, 1})
		return in
	}
	all := func(p Nonfinite) STA {
		return STA{Lambda: 1, Nonfinite: p, Models: []STAModel{{Weight: 1, Density: 1}}}
	}
	var odd *NonfiniteError
	if _, err := poison(math.Inf(1), 1).fuseOnce(all(StopNonfinite).Method(poison(0, 0).jobs)); !errors.As(err, &odd) || odd.Index != 3 || odd.Model != 0 || odd.Score {
		t.Errorf("infinite weight: %v", err)
	}
	half := STA{Lambda: 1, Models: []STAModel{{Weight: 1, Density: 0.5}}}
	if _, err := poison(2.5, math.NaN()).fuseOnce(half.Method(poison(0, 0).jobs)); !errors.As(err, &odd) || odd.Index != 3 || !odd.Score {
		t.Errorf("NaN importance: %v", err)
	}
	got, err := poison(math.Inf(1), 1).fuseOnce(all(BaseNonfinite).Method(poison(0, 0).jobs))
	if err != nil || got[3] != 2 || got[0] != 1.5 {
		t.Errorf("base policy: %v, %v", got, err)
	}
	got, err = poison(math.Inf(1), 1).fuseOnce(all(PropagateNonfinite).Method(poison(0, 0).jobs))
	if err != nil || !math.IsInf(got[3], 1) {
		t.Errorf("propagate policy: %v, %v", got, err)
	}
}

// A result that the output's type cannot hold is not finite either.
func TestOverflowOfTheOutputStops(t *testing.T) {
	in := nonfiniteFixture()
	in.base[0] = pack(format.F32, []float64{60000, 0, 0, 0, 0})
	in.models[0][0] = pack(format.F32, []float64{70000, 0, 0, 0, 0})
	in.jobs[0].DType = format.F16
	o := STA{Lambda: 1, Models: []STAModel{{Weight: 1, Density: 1}}}
	var odd *NonfiniteError
	if _, err := in.fuseOnce(o.Method(in.jobs)); !errors.As(err, &odd) || odd.Index != 0 || odd.Model != -1 {
		t.Errorf("got %v", err)
	}
}
