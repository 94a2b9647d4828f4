package sphere

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestAngles(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	near := func(what string, x, got, want, units float64) {
		if d := math.Abs(got - want); !(d <= units*0x1p-52*max(math.Abs(want), 1e-3)) {
			t.Errorf("%s %v: %v, want %v", what, x, got, want)
		}
	}
	// math.Acos has few digits left near 1.
	acos := func(c float64) float64 { return 2 * math.Atan2(math.Sqrt(1-c), math.Sqrt(1+c)) }
	for range 100000 {
		x := 3 * math.Pi * (r.Float64() - 0.5)
		near("sine", x, Sine(x), math.Sin(x), 500)
		near("cosine", x, Cosine(x), math.Cos(x), 500)
		c := 2*r.Float64() - 1
		near("arc cosine", c, ArcCosine(c), acos(c), 8)
	}
	for _, x := range []float64{0, 1e-300, 1e-9, math.Pi / 4, math.Pi / 2, math.Pi, 2 * math.Pi, -1, -4, 1000} {
		near("sine", x, Sine(x), math.Sin(x), 2000)
		near("cosine", x, Cosine(x), math.Cos(x), 2000)
	}
	for _, c := range []float64{-1, -1 + 0x1p-53, -0.5, 0, 0.5, 1 - 0x1p-53, 1} {
		near("arc cosine", c, ArcCosine(c), acos(c), 8)
	}
	if Sine(0) != 0 || Cosine(0) != 1 || ArcCosine(1) != 0 || ArcCosine(-1) != math.Pi {
		t.Error("the ends are not exact")
	}
	if !math.IsNaN(Sine(math.NaN())) || !math.IsNaN(ArcCosine(math.NaN())) {
		t.Error("NaN is lost")
	}
}
