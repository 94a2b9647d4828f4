package scoring

import (
	"math"
	"slices"
	"testing"
)

func TestScores(t *testing.T) {
	theta, delta, a := []float32{-2, 3, 0}, []float32{0.5, -0.25, 1}, []float32{4, 0.1, 7}
	for _, test := range []struct {
		score Score
		want  []float32
	}{
		{Weight, []float32{8, float32(3) * float32(0.1), 0}},
		{Delta, []float32{2, float32(0.25) * float32(0.1), 7}},
		{Fisher, []float32{4, sq(float32(0.25) * float32(0.1)), 49}},
		{Importance, []float32{4, 0.1, 7}},
		{Magnitude, []float32{0.5, 0.25, 1}},
	} {
		got := make([]float32, 3)
		test.score.Compute(got, theta, delta, a)
		if !slices.Equal(got, test.want) {
			t.Errorf("%v: %v, want %v", test.score, got, test.want)
		}
	}
}

func sq(x float32) float32 { return x * x }

func TestStatistics(t *testing.T) {
	for _, test := range []struct {
		statistic Statistic
		want      float32
	}{{MeanAbsGrad, 4}, {MeanGrad, 4}, {MeanSqGrad, 2}, {AdamSecondMoment, 2}, {Finished, 4}} {
		x := []float32{4}
		test.statistic.Magnitude(x)
		if x[0] != test.want {
			t.Errorf("%v of 4 is %v, want %v", test.statistic, x[0], test.want)
		}
	}
	x := []float32{-4}
	if MeanGrad.Magnitude(x); x[0] != 4 {
		t.Errorf("mean_grad of -4 is %v, want 4", x[0])
	}
}

func TestNormalizations(t *testing.T) {
	s := []float32{1, 2, 3, 6}
	for _, test := range []struct {
		n    Normalization
		want []float32
	}{
		{Raw, []float32{1, 2, 3, 6}},
		{ByMean, []float32{float32(1) / 3, float32(2) / 3, 1, 2}},
		{ByMax, []float32{float32(1) / 6, float32(2) / 6, 0.5, 1}},
		{ByRange, []float32{0, 0.2, 0.4, 1}},
		{ByL2, div(s, float32(math.Sqrt(50)))},
	} {
		var total Aggregate
		total.Add(test.n.Summarize(s[:3]))
		total.Add(test.n.Summarize(s[3:]))
		got := slices.Clone(s)
		test.n.Scale(total).Apply(got)
		if !slices.Equal(got, test.want) {
			t.Errorf("%v: %v, want %v", test.n, got, test.want)
		}
		if one := test.n.Scale(total).One(s[1]); one != got[1] {
			t.Errorf("%v: One gives %v, Apply %v", test.n, one, got[1])
		}
	}
}

func div(s []float32, d float32) []float32 {
	out := slices.Clone(s)
	for i := range out {
		out[i] /= d
	}
	return out
}

// A divisor of 0 or infinity makes all scores 0.
func TestNormalizationOfDegenerateTensors(t *testing.T) {
	big := float32(math.MaxFloat32)
	for _, s := range [][]float32{{0, 0}, {5, 5}, {}, {big, big}} {
		for _, n := range []Normalization{ByMean, ByMax, ByRange, ByL2} {
			var total Aggregate
			if len(s) > 0 {
				total.Add(n.Summarize(s))
			}
			got := slices.Clone(s)
			n.Scale(total).Apply(got)
			for _, x := range got {
				if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
					t.Errorf("%v of %v is %v", n, s, got)
				}
			}
			if (n == ByRange || len(s) > 0 && s[0] == 0) && slices.ContainsFunc(got, func(x float32) bool { return x != 0 }) {
				t.Errorf("%v of %v is %v, want zeros", n, s, got)
			}
		}
	}
}

func TestNamesParseBack(t *testing.T) {
	for _, name := range scoreNames {
		if s, err := ParseScore(name); err != nil || s.String() != name {
			t.Errorf("score %s: %v, %v", name, s, err)
		}
	}
	if _, err := ParseStatistic("mean"); err == nil {
		t.Error("an unknown statistic is accepted")
	}
}
