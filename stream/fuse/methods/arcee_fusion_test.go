package methods

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"weld/format"
	"weld/stream/fuse"
)

// In float32 mergekit takes other elements where a score is next to the threshold; its own
// float64 is what to compare with.
func TestArceeFusionGolden(t *testing.T) {
	golden(t, "arcee_fusion", "arcee_fusion-float64", "base", threeModels("a"), nil, 2e-6, cancelled)
	golden(t, "arcee_fusion", "arcee_fusion-two-float64", "a", threeModels("b"), nil, 2e-6, cancelled)
}

func TestArceeFusionShown(t *testing.T) {
	shown("arcee_fusion", nil, shownX).hold(t, []float64{.6, -.25, .125, .8, -1, .75, 0, .3}, 1e-6)
	shown("arcee_fusion", nil, nil).hold(t, shownBase, 1e-7) // a tensor that the model lacks
}

func TestArceeFusionTakesOneModel(t *testing.T) {
	in := shown("arcee_fusion", nil, shownX, shownY).inputs()
	if _, err := in.FuseOnce(merging("arcee_fusion", in.Jobs, fuse.StopNonfinite)); err == nil {
		t.Error("two models were merged")
	}
}

func arceeReference(m oneTensor) (want []float64, ambiguous bool) {
	base, theta, delta := m.sources()
	n, line := len(base), 1
	if len(m.shape) > 0 {
		line = max(1, int(m.shape[len(m.shape)-1]))
	}
	softmax := func(x []float64) []float64 {
		var sum float64
		p, top := make([]float64, len(x)), slices.Max(x)
		for i := range x {
			p[i] = math.Exp(x[i] - top)
			sum += p[i]
		}
		for i := range p {
			p[i] = p[i]/sum + 1e-8
		}
		return p
	}
	scores := make([]float64, n)
	for at := 0; at < n; at += line {
		p, q := softmax(theta[0][at:at+line]), softmax(base[at:at+line])
		var kl float64
		for i := range p {
			kl += p[i] * math.Log(p[i]/q[i])
		}
		for i := at; i < at+line; i++ {
			scores[i] = math.Abs(delta[0][i]) * max(kl, 0)
		}
	}
	if n == 0 {
		return nil, false
	}
	sorted := slices.Sorted(slices.Values(scores))
	pick := func(q float64) float64 { return sorted[int(q*float64(n-1))] }
	threshold := pick(0.5) + 1.5*(pick(0.75)-pick(0.25))
	want = slices.Clone(base)
	for i, s := range scores {
		if s >= threshold {
			want[i] += delta[0][i]
		}
		if math.Abs(s-threshold) < 1e-6*threshold {
			ambiguous = true
		}
	}
	return want, ambiguous
}

func TestArceeFusionReference(t *testing.T) {
	tried, skipped, dropped := 0, 0, 0
	oneByOne(t, "arcee_fusion", 1, func(r *rand.Rand, m oneTensor, grid bool) {
		if r.IntN(3) == 0 && len(m.base) > 3 { // far apart within a line
			m.base[1], m.models[0][2] = 90, -800
		}
		want, ambiguous := arceeReference(m)
		if tried++; ambiguous {
			skipped++
			want = nil
		}
		got := m.merged(t)
		if want == nil {
			return
		}
		base, _, _ := m.sources()
		for i := range want {
			if math.Abs(got[i]-want[i]) > m.tolerance()*max(1, math.Abs(want[i])) {
				t.Fatalf("%v: element %d: %v, want %v", m, i, got[i], want[i])
			}
			if want[i] == base[i] {
				dropped++
			}
		}
	})
	if skipped > tried/2 || dropped == 0 {
		t.Errorf("%d of %d cases hang on rounding, %d elements are the base's", skipped, tried, dropped)
	}
	m := drawOne(rand.New(rand.NewPCG(1, 1)), "arcee_fusion", format.F32, []int64{40, 50}, 1, false)
	m.models[0] = m.base
	m.hold(t, m.base, 1e-7)
}

// All have the score 0 where a line is one element, and all are kept.
func TestArceeFusionKeepsEqualScores(t *testing.T) {
	m := drawOne(rand.New(rand.NewPCG(1, 2)), "arcee_fusion", format.F32, []int64{300, 1}, 1, false)
	m.hold(t, m.models[0], 1e-6)
}
