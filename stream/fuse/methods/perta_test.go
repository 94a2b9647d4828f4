package methods

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"weld/format"
	"weld/scoring"
	"weld/stream/fuse"
)

// pertaReference is the method by its formula: of whole tensors, model by model. A model without importance has no part in it.
func pertaReference(m oneTensor) []float64 {
	base, _, deltas := m.sources()
	want := make([]float64, len(base))
	for i := range want {
		var all []float64 // scores of the models that have a part
		var of []int
		for k, a := range m.importance {
			if a == nil {
				continue
			}
			s := math.Abs(float64(float32(a[i]))) // v, of a file of squares
			if scoring.Statistic(m.own[k]["statistic"]).IsMagnitude() {
				s *= s
			}
			if m.shared["share"] == 0 {
				s = math.Sqrt(s)
			}
			all, of = append(all, s), append(of, k)
		}
		sum := 0.0
		for j, k := range of {
			if all[j] == 0 {
				continue
			}
			var others float64
			for u := range all {
				if u != j {
					others += all[u] / float64(len(all)-1)
				}
			}
			sum += m.own[k]["weight"] * deltas[k][i] / (1 + m.shared["retain"]*others/all[j])
		}
		want[i] = base[i] + m.shared["lambda"]*sum
	}
	return want
}

func TestPerTAReference(t *testing.T) {
	oneByOne(t, "perta", 4, func(r *rand.Rand, m oneTensor, grid bool) {
		m.shared = Params{
			"missing_importance": 1, "share": float64(r.IntN(2)), "lambda": []float64{1, 0.3, -2}[r.IntN(3)], "retain": []float64{1, 0, 0.25, 10}[r.IntN(4)],
		}
		for range m.models {
			statistic := scoring.Statistic(r.IntN(5))
			m.own = append(m.own, Params{"weight": []float64{1, -1, 0.7, 0}[r.IntN(4)], "statistic": float64(statistic)})
			var a []float64
			if r.IntN(5) > 0 {
				a = make([]float64, len(m.base))
				for i := range a {
					if a[i] = math.Exp(6*r.NormFloat64() - 50); grid { // squares of some come to nothing in float32
						a[i] = float64(r.IntN(3))
					}
					if statistic == scoring.MeanGrad && r.IntN(2) == 0 {
						a[i] = -a[i]
					}
				}
			}
			m.importance = append(m.importance, a)
		}
		m.hold(t, pertaReference(m), 4*m.tolerance())
	})
}

func TestPerTA(t *testing.T) {
	m := oneTensor{
		method: "perta", dtype: format.F32, out: format.F32, shape: []int64{4},
		base:       []float64{1, 1, 1, 1},
		models:     [][]float64{{3, 3, 3, 3}, {1, 1, 1, 1}}, // what is forgotten, and the base again, which says what is retained
		importance: [][]float64{{1, -3, 2, 0}, {1, 1, 0, 0}},
		own:        []Params{{"weight": -1}, {"weight": 0}},
		shared:     Params{"lambda": 1, "retain": 1},
	}
	// ρ is 1/2 3/4 1 and, where nobody cares, 0.
	m.hold(t, []float64{0, -0.5, -1, 1}, 0)
	m.shared["share"] = fisherShare
	m.hold(t, []float64{0, -0.8, -1, 1}, 1e-7)
	m.shared["retain"] = 9
	m.hold(t, []float64{1 - 0.2, 0, -1, 1}, 1e-7)
	m.shared["retain"] = 0
	m.hold(t, []float64{-1, -1, -1, 1}, 0)

	// What a model of weight 0 has for weights is not looked at.
	m.shared["retain"], m.models[1] = 1, []float64{math.NaN(), math.Inf(1), 7, 7}
	m.hold(t, []float64{0, -0.8, -1, 1}, 1e-7)

	// Of three models each is held against the mean of the others. Squares in the files are squares already.
	m.shared["retain"] = 1
	m.models = [][]float64{{2, 1, 1, 1}, {5, 1, 1, 1}, {1, 1, 1, 1}}
	m.importance = [][]float64{{4, 0, 0, 0}, {2, 0, 0, 0}, {6, 0, 0, 0}}
	m.own = []Params{{"weight": 1}, {"weight": 2}, {"weight": 0}}
	for k := range m.own {
		m.own[k]["statistic"] = float64(scoring.MeanSqGrad)
	}
	m.hold(t, []float64{1 + 1*4./(4+4) + 2*4*2./(2+5), 1, 1, 1}, 1e-6)
}

// A file that lacks the tensor is an error, or leaves its model out, of those that are retained too.
func TestPerTAMissing(t *testing.T) {
	m := oneTensor{
		method: "perta", dtype: format.F32, out: format.F32, shape: []int64{2}, base: []float64{0, 0},
		models: [][]float64{{2, 2}, {8, 8}, {4, 4}}, importance: [][]float64{{1, 0}, {3, 1}, nil},
		own:    []Params{{"weight": 1}, {"weight": 0}, {"weight": 1}},
		shared: Params{"lambda": 1, "retain": 1, "missing_importance": 1},
	}
	m.hold(t, []float64{0.5, 0}, 0)
	m.importance[1] = nil // nothing is retained
	m.hold(t, []float64{2, 0}, 0)
	m.importance[0] = nil
	m.hold(t, []float64{0, 0}, 0)
	m.importance[0], m.shared["missing_importance"] = []float64{1, 1}, 0
	in := m.inputs()
	if _, err := in.FuseOnce(merging("perta", in.Jobs, fuse.StopNonfinite)); err == nil {
		t.Error("a tensor without importance was merged")
	}
}

// A model that lacks the tensor is neither added nor retained, and the others keep their own weights, files and statistics.
func TestPerTAAbsent(t *testing.T) {
	m := oneTensor{
		method: "perta", dtype: format.F32, out: format.F32, shape: []int64{1}, base: []float64{0},
		models: [][]float64{nil, {2}, {4}}, importance: [][]float64{{100}, {4}, {2}}, // √4 against |2|
		own:    []Params{{"weight": 10}, {"weight": 1, "statistic": float64(scoring.MeanSqGrad)}, {"weight": 0}},
		shared: Params{"lambda": 1, "retain": 1},
	}
	m.hold(t, []float64{1}, 0)
}

// Importance that is no number stops the run where a model differs from the base, whichever model it is of.
func TestPerTANonfinite(t *testing.T) {
	for _, share := range []float64{0, fisherShare} {
		for model := range 2 {
			for _, odd := range []float64{math.NaN(), math.Inf(1), -1} {
				m := oneTensor{
					method: "perta", dtype: format.F32, out: format.F32, shape: []int64{3}, base: []float64{1, 1, 1},
					models: [][]float64{{2, 2, 1}, {1, 1, 1}}, importance: [][]float64{{1, 1, 1}, {1, 1, 1}},
					own:    []Params{{"weight": 1}, {"weight": 0}},
					shared: Params{"lambda": 1, "retain": 1, "share": share},
				}
				m.own[model]["statistic"] = float64(scoring.AdamSecondMoment)
				m.importance[model][2] = odd // where nothing changes
				m.hold(t, []float64{1.5, 1.5, 1}, 0)
				m.importance[model][1] = odd
				in := m.inputs()
				var e *fuse.NonfiniteError
				_, err := in.FuseOnce(merging("perta", in.Jobs, fuse.StopNonfinite))
				if !errors.As(err, &e) || e.Index != 1 || e.Whose != fuse.OfImportance || e.Model != model {
					t.Errorf("importance of %v in model %d, share %v: %v", odd, model, share, err)
				}
			}
		}
	}
}

// A share of numbers whose squares float32 has not is a share all the same.
func TestPerTAExtremes(t *testing.T) {
	m := oneTensor{
		method: "perta", dtype: format.F32, out: format.F32, shape: []int64{2}, base: []float64{0, 0},
		models: [][]float64{{10, 10}, {0, 0}}, importance: [][]float64{{3e-30, 3e30}, {1e-30, 1e30}},
		own:    []Params{{"weight": 1}, {"weight": 0}},
		shared: Params{"lambda": 1, "retain": 1, "share": fisherShare},
	}
	m.hold(t, []float64{9, 9}, 1e-6)
}
