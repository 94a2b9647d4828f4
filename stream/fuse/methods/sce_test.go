package methods

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"weld/format"
)

func TestSCEGolden(t *testing.T) {
	for _, c := range []struct {
		name   string
		models []goldenModel
		share  float64
	}{
		{"sce", threeModels("a", "b", "c"), 1},
		{"sce-topk-0.3", threeModels("a", "b", "c"), 0.3},
		{"sce-topk-0.05", threeModels("a", "b"), 0.05},
		{"sce-topk-zero", threeModels("a", "b"), 0},
		{"sce-one-model", threeModels("a"), 0.5},
	} {
		// Deltas of 3e-5: mergekit weighs all models alike below a sum of mean squares of 1e-6, which is
		// an accident of its guard against a division by 0.
		alike := func(tensor string, got, want float64) bool {
			return cancelled(tensor, got, want) || tensor == "model.layers.1.post_attention_layernorm.weight"
		}
		golden(t, "sce", c.name, "base", c.models, Params{"select_topk": c.share}, 2e-6, alike)
	}
}

func TestSCEShown(t *testing.T) {
	shown("sce", Params{"select_topk": 1}, shownX, shownY).hold(t, []float64{.6, -.35, .2, .8, -.8, .7, .0340539, .2}, 1e-6)
	// Elements 1 and 7 have one variance: mergekit has the latter, as its sort has it.
	shown("sce", Params{"select_topk": .5}, shownX, shownY).hold(t, []float64{.6, -.35, .125, .8, -.8, .75, 0, .3}, 1e-6)
	shown("sce", Params{"select_topk": 1}).hold(t, shownBase, 1e-7)
	shown("sce", Params{"select_topk": .5}).hold(t, shownBase, 1e-7)
}

// sceReference is sce; ambiguous says that rounding may select otherwise.
func sceReference(m oneTensor) (want []float64, ambiguous bool) {
	base, _, delta := m.sources()
	share, models := m.shared["select_topk"], float64(len(delta))
	if share < 1 {
		variance := make([]float64, len(base))
		order := make([]int, len(base))
		varied := 0
		for i := range base {
			var mean float64 // of the differences from the first
			for _, d := range delta {
				mean += (d[i] - delta[0][i]) / models
			}
			for _, d := range delta {
				variance[i] += (d[i] - delta[0][i] - mean) * (d[i] - delta[0][i] - mean)
			}
			variance[i] = math.Round(variance[i]*(1<<40)) / (1 << 40) // equal ones stay equal
			order[i] = i
			if slices.ContainsFunc(delta, func(d []float64) bool { return d[i] != delta[0][i] }) {
				varied++
			}
		}
		slices.SortStableFunc(order, func(a, b int) int {
			if variance[a] > variance[b] {
				return -1
			} else if variance[a] < variance[b] {
				return 1
			}
			return 0
		})
		k := int(float32(varied) * float32(share))
		if share <= 0 {
			k = 0
		}
		if k > 0 && k < len(order) {
			last, next := variance[order[k-1]], variance[order[k]]
			ambiguous = last-next < 1e-5*last
		}
		for _, i := range order[k:] {
			for _, d := range delta {
				d[i] = 0
			}
		}
	}
	squares := make([]float64, len(delta))
	var total float64
	for k, d := range delta {
		for _, x := range d {
			squares[k] += x * x
		}
		total += squares[k]
	}
	want = slices.Clone(base)
	for i := range want {
		var majority, num, den float64
		for _, d := range delta {
			majority += d[i]
		}
		if majority != 0 && math.Abs(majority) < 1e-6*math.Abs(delta[0][i]) {
			ambiguous = true
		}
		for k, d := range delta {
			if d[i] != 0 && (d[i] > 0) == (majority >= 0) {
				num += squares[k] / total * d[i]
				den += squares[k] / total
			}
		}
		if den != 0 {
			want[i] += num / den
		}
	}
	return want, ambiguous
}

func TestSCEReference(t *testing.T) {
	tried, skipped := 0, 0
	oneByOne(t, "sce", 4, func(r *rand.Rand, m oneTensor, grid bool) {
		for _, share := range []float64{1, 0, 1e-9, 0.05, 0.5, 0.999} {
			m.shared = Params{"select_topk": share}
			want, ambiguous := sceReference(m)
			if tried++; ambiguous && !grid {
				skipped++
				continue
			}
			m.hold(t, want, m.tolerance())
		}
	})
	if skipped > tried/10 {
		t.Errorf("%d of %d cases hang on rounding", skipped, tried)
	}
}

// Small task vectors are weighed by their squares too.
func TestSCEWeighsSmallVectors(t *testing.T) {
	m := oneTensor{
		method: "sce", dtype: format.F32, out: format.F32, shape: []int64{2}, shared: Params{"select_topk": 1},
		base: []float64{0, 0}, models: [][]float64{{1e-6, 1e-6}, {3e-6, 3e-6}},
	}
	got := m.merged(t)
	if want := (1e-6 + 9*3e-6) / 10; math.Abs(got[0]-want) > 1e-12 {
		t.Errorf("%v, want %v", got[0], want)
	}
}
