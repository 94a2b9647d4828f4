package methods

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"weld/format"
	"weld/scoring"
	"weld/stream/fuse"
)

func fisherReference(m oneTensor) []float64 {
	_, theta, _ := m.sources()
	none := !slices.ContainsFunc(m.importance, func(a []float64) bool { return a != nil })
	want := make([]float64, len(m.base))
	for i := range want {
		var num, den, plain, weights float64
		for k, x := range theta {
			w := m.own[k]["weight"]
			if m.importance[k] == nil && !none {
				continue
			}
			plain += w * x[i]
			weights += w
			if none {
				continue
			}
			a := float64(float32(m.importance[k][i]))
			if scoring.Statistic(m.own[k]["statistic"]).IsMagnitude() {
				a *= a
			}
			num += w * a * x[i]
			den += w * a
		}
		if den == 0 {
			num, den = plain, weights
		}
		want[i] = num / den
	}
	return want
}

func TestFisherReference(t *testing.T) {
	oneByOne(t, "fisher", 4, func(r *rand.Rand, m oneTensor, grid bool) {
		m.shared = Params{"missing_importance": 1}
		for range m.models {
			statistic := scoring.Statistic(r.IntN(5))
			m.own = append(m.own, Params{"weight": 0.1 + r.Float64(), "statistic": float64(statistic)})
			var a []float64
			if r.IntN(4) > 0 {
				a = make([]float64, len(m.base))
				for i := range a {
					switch {
					case grid:
						a[i] = float64(r.IntN(2))
					default:
						a[i] = math.Exp(4*r.NormFloat64() - 9)
					}
					if statistic == scoring.MeanGrad && r.IntN(2) == 0 {
						a[i] = -a[i]
					}
				}
			}
			m.importance = append(m.importance, a)
		}
		m.hold(t, fisherReference(m), m.tolerance())
	})
}

func TestFisher(t *testing.T) {
	m := oneTensor{
		method: "fisher", dtype: format.F32, out: format.F32, shape: []int64{4},
		base:       make([]float64, 4),
		models:     [][]float64{{1, 2, 3, 4}, {5, 6, 7, 8}},
		importance: [][]float64{{1, 0, -2, 0}, {1, 1, 0, 0}},
		own:        []Params{{"weight": 1}, {"weight": 3}},
	}
	m.hold(t, []float64{4, 6, 3, 7}, 1e-6)
	m.own[0]["statistic"], m.own[1]["statistic"] = float64(scoring.MeanSqGrad), float64(scoring.AdamSecondMoment)
	m.importance = [][]float64{{4, 1, 1, 0}, {1, 9, 1, 0}}
	m.hold(t, []float64{(4*1 + 3*5) / 7.0, (2 + 27*6) / 28.0, 6, 7}, 1e-6)

	// Squares are never negative.
	m.importance[0][2] = -1
	in := m.inputs()
	if _, err := in.FuseOnce(merging("fisher", in.Jobs, fuse.StopNonfinite)); err == nil {
		t.Error("a negative square was taken")
	}
	// A file that lacks the tensor is an error, unless its model is to be dropped.
	m.importance[0] = nil
	in = m.inputs()
	if _, err := in.FuseOnce(merging("fisher", in.Jobs, fuse.StopNonfinite)); err == nil {
		t.Error("a tensor without importance was merged")
	}
	m.shared = Params{"missing_importance": 1}
	m.hold(t, m.models[1], 1e-6)
	m.importance[1] = nil
	m.hold(t, []float64{4, 5, 6, 7}, 1e-6)
}

// Models without importance have no part in a tensor, unless none has any.
func TestFisherWithImportance(t *testing.T) {
	for _, c := range []struct {
		models []fuse.Contribution
		taken  []int
		known  bool
	}{
		{[]fuse.Contribution{{Importance: true}, {Importance: true}}, []int{0, 1}, true},
		{[]fuse.Contribution{{}, {Importance: true}}, []int{1}, true},
		{[]fuse.Contribution{{Absent: true, Importance: true}, {Importance: true}}, []int{1}, true},
		{[]fuse.Contribution{{}, {Absent: true}}, []int{0}, false},
		{[]fuse.Contribution{{}, {}}, []int{0, 1}, false},
	} {
		if taken, known := withImportance(&fuse.Job{Models: c.models}); !slices.Equal(taken, c.taken) || known != c.known {
			t.Errorf("%+v: %v, %v", c.models, taken, known)
		}
	}
}
