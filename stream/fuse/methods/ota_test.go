package methods

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"weld/format"
	"weld/scoring"
	"weld/stream/fuse"
)

// otaImportance is a of each model in float64, by the method's formula; nil for a model that has no part in the tensor.
func otaImportance(m oneTensor) [][]float64 {
	all := make([][]float64, len(m.models))
	for k := range all {
		if m.importance[k] == nil {
			continue
		}
		v := make([]float64, len(m.base))
		for i := range v {
			v[i] = float64(float32(m.importance[k][i]))
			if scoring.Statistic(m.own[k]["statistic"]).IsMagnitude() {
				v[i] *= v[i]
			}
		}
		if m.shared.Bool("rank_one") && len(m.shape) == 2 {
			v = outerOfSums(v, int(m.shape[0]), int(m.shape[1]))
		}
		for i := range v {
			v[i] = math.Sqrt(v[i])
		}
		all[k] = v
	}
	return all
}

// outerOfSums is Σⱼ v · Σᵢ v / Σ v.
func outerOfSums(v []float64, rows, columns int) []float64 {
	r, c, total := make([]float64, rows), make([]float64, columns), 0.0
	for i, x := range v {
		r[i/columns] += x
		c[i%columns] += x
		total += x
	}
	out := make([]float64, len(v))
	for i := range out {
		if total != 0 {
			out[i] = r[i/columns] * c[i%columns] / total
		}
	}
	return out
}

// otaReference merges whole tensors with a sort. unsure are elements whose score is so near a threshold that rounding decides.
func otaReference(m oneTensor) (want []float64, unsure []bool) {
	base, _, deltas := m.sources()
	all := otaImportance(m)
	n := len(base)
	num, den, plain, total := make([]float64, n), make([]float64, n), make([]float64, n), 0.0
	unsure = make([]bool, n)
	for k, a := range all {
		if a == nil {
			continue
		}
		w, d := m.own[k]["weight"], m.own[k]["density"]
		whole := d == 1
		scores := make([]float64, n)
		for i := range scores {
			scores[i] = math.Pow(a[i]*deltas[k][i], 2)
		}
		cut, kept := 0.0, int(math.Ceil(d*float64(n)))
		if sorted := slices.Sorted(slices.Values(scores)); !whole && kept > 0 {
			cut = sorted[n-kept]
			whole = cut == 0
		}
		for i, s := range scores {
			keep := whole || kept > 0 && s >= cut
			unsure[i] = unsure[i] || !whole && kept > 0 && s > 0 && math.Abs(s/cut-1) < 1e-5
			if keep {
				num[i] += w * a[i] * deltas[k][i]
				den[i] += w * a[i]
			}
			if whole {
				plain[i] += w * deltas[k][i]
			}
		}
		if whole {
			total += w
		}
	}
	want = slices.Clone(base)
	for i := range want {
		switch {
		case den[i] != 0:
			want[i] += num[i] / den[i]
		case total != 0:
			want[i] += plain[i] / total
		}
	}
	return want, unsure
}

// drawOTA draws weights, densities and second moments of all statistics.
func drawOTA(r *rand.Rand, m *oneTensor, grid bool) {
	m.shared = Params{"rank_one": float64(r.IntN(2)), "missing_importance": 1}
	for range m.models {
		statistic := scoring.Statistic(r.IntN(5))
		m.own = append(m.own, Params{
			"weight": 0.1 + r.Float64(), "statistic": float64(statistic),
			"density": []float64{0, 0.003, 0.2, 0.7, 1, 1}[r.IntN(6)],
		})
		var v []float64
		if r.IntN(5) > 0 {
			v = make([]float64, len(m.base))
			for i := range v {
				if v[i] = math.Exp(4*r.NormFloat64() - 25); grid { // as small as Adam's are
					v[i] = float64(r.IntN(3))
				}
				if statistic == scoring.MeanGrad && r.IntN(2) == 0 {
					v[i] = -v[i]
				}
			}
		}
		m.importance = append(m.importance, v)
	}
}

func TestOTAReference(t *testing.T) {
	sure := 0
	oneByOne(t, "ota", 4, func(r *rand.Rand, m oneTensor, grid bool) {
		drawOTA(r, &m, grid)
		want, unsure := otaReference(m)
		got := m.merged(t)
		for i := range want {
			if unsure[i] {
				continue
			}
			sure++
			if math.Abs(got[i]-want[i]) > 2e-6*max(math.Abs(want[i]), 1) {
				t.Fatalf("%v, %v, element %d: %v, want %v", m, m.own, i, got[i], want[i])
			}
		}
	})
	if sure < 1e6 {
		t.Errorf("only %d elements are sure", sure)
	}
}

func TestOTA(t *testing.T) {
	m := oneTensor{
		method: "ota", dtype: format.F32, out: format.F32, shape: []int64{2, 2},
		base:       []float64{1, 1, 1, 1},
		models:     [][]float64{{2, 3, 1, 5}, {5, 1, 2, 0}},
		importance: [][]float64{{4, 1, 9, 0}, {1, 9, 4, 0}},
		own: []Params{
			{"weight": 1, "density": 1, "statistic": float64(scoring.AdamSecondMoment)},
			{"weight": 3, "density": 1, "statistic": float64(scoring.MeanSqGrad)},
		},
	}
	// δ are 1 2 0 4 and 4 0 1 −1, √v are 2 1 3 0 and 1 3 2 0.
	m.hold(t, []float64{1 + 14./5, 1 + 2./10, 1 + 6./9, 1 + 1./4}, 1e-6)

	// vδ² is 4 4 0 0 and 16 0 4 0.
	m.own[0]["density"], m.own[1]["density"] = 0.5, 0.25
	m.hold(t, []float64{1 + 14./5, 3, 1, 1}, 1e-6)

	// One model: its update, grafted.
	m.models, m.importance, m.own = m.models[:1], m.importance[:1], m.own[:1]
	m.own[0]["density"] = 0.5
	m.hold(t, []float64{2, 3, 1, 1}, 1e-6)

	// Row sums 5 9, column sums 13 1, of 14: v is 65/14 5/14 117/14 9/14, and vδ² is about 4.6 1.4 0 10.3.
	m.shared = Params{"rank_one": 1}
	m.hold(t, []float64{2, 1, 1, 5}, 1e-6)

	// Squares are never negative, and no importance is infinite.
	for _, odd := range []float64{-1, math.NaN(), math.Inf(1)} {
		for _, rankOne := range []float64{0, 1} {
			for _, density := range []float64{0.5, 1} {
				m.importance[0][1], m.shared["rank_one"], m.own[0]["density"] = odd, rankOne, density
				in := m.inputs()
				var e *fuse.NonfiniteError
				if _, err := in.FuseOnce(merging("ota", in.Jobs, fuse.StopNonfinite)); !errors.As(err, &e) || e.Index != 1 || e.Model != 0 {
					t.Errorf("a second moment of %v, rank_one %v, density %v: %v", odd, rankOne, density, err)
				}
			}
		}
	}
}

// A weight may be another one in each tensor.
func TestOTAWeightVaries(t *testing.T) {
	m := oneTensor{
		method: "ota", dtype: format.F32, out: format.F32, shape: []int64{1},
		base: []float64{0}, models: [][]float64{{4}, {8}}, importance: [][]float64{{1}, {1}},
		own: []Params{{"weight": 1, "density": 1}, {"weight": 1, "density": 1}},
	}
	in := m.inputs()
	in.Base, in.Jobs = append(in.Base, in.Base[0]), append(in.Jobs, in.Jobs[0])
	for k := range in.Models {
		in.Models[k], in.Importance[k] = append(in.Models[k], in.Models[k][0]), append(in.Importance[k], in.Importance[k][0])
	}
	in.Jobs[1].Models = slices.Clone(in.Jobs[1].Models)
	in.Jobs[1].Models[0].Params = Params{"weight": 3}
	in.Jobs[1].Models[1].Params = Params{"weight": 1}
	got := in.Drive(t, merging("ota", in.Jobs, fuse.StopNonfinite), 1)
	for job, want := range []float64{6, 5} {
		x := make([]float64, 1)
		if format.Decode(format.F32, x, got[job]); x[0] != want {
			t.Errorf("tensor %d: %v, want %v", job, x[0], want)
		}
	}
}
