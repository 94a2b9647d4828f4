package methods

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestRAMGolden(t *testing.T) {
	for _, c := range []struct {
		method, name string
		shared       Params
	}{
		{"ram", "ram", Params{"epsilon": 1e-5}},
		{"ram", "ram-epsilon", Params{"epsilon": 0.02}},
		{"ramplus_tl", "ramplus_tl", Params{"epsilon": 1e-5, "r": 0.1, "alpha": 0.2}},
		{"ramplus_tl", "ramplus_tl-r-alpha", Params{"epsilon": 0.05, "r": 0.5, "alpha": 1.5}},
	} {
		golden(t, c.method, c.name, "base", threeModels("a", "b", "c"), c.shared, 2e-6, cancelled)
	}
}

func TestRAMShown(t *testing.T) {
	shown("ram", Params{"epsilon": 1e-5}, shownX, shownY).hold(t, []float64{.525, -.275, .2, .95, -.95, .74, .035, .275}, 1e-6)
	shown("ram", Params{"epsilon": .06}, shownX, shownY).hold(t, []float64{.6, -.35, .2, .95, -.95, .75, 0, .2}, 1e-6)
	shown("ramplus_tl", Params{"epsilon": .06, "r": .1, "alpha": .2}, shownX, shownY).hold(t, []float64{.602, -.352, .2015, .95, -.95, .75, 0, .198}, 1e-6)
	shown("ram", Params{"epsilon": 1e-5}).hold(t, shownBase, 1e-7)
	shown("ramplus_tl", Params{"epsilon": 1e-5, "r": .1, "alpha": .2}).hold(t, shownBase, 1e-7)
}

func ramReference(m oneTensor) []float64 {
	base, _, delta := m.sources()
	epsilon := m.shared["epsilon"]
	if m.tolerance() > 1e-9 {
		epsilon = float64(float32(epsilon))
	}
	active := make([]int, len(base))
	for _, d := range delta {
		for i := range d {
			if math.Abs(d[i]) > epsilon {
				active[i]++
			} else {
				d[i] = 0
			}
		}
	}
	want := slices.Clone(base)
	for _, d := range delta {
		var shared, unique float64
		for i, x := range d {
			if x != 0 && active[i] == 1 {
				unique++
			} else if x != 0 {
				shared++
			}
		}
		lambda := 1 + m.shared["r"]*min(shared/max(unique, m.shared["epsilon"]), m.shared["alpha"])
		if m.method == "ram" {
			lambda = 1
		}
		for i, x := range d {
			switch {
			case active[i] == 1:
				want[i] += lambda * x
			case active[i] > 1:
				want[i] += x / float64(active[i])
			}
		}
	}
	return want
}

func TestRAMReference(t *testing.T) {
	for _, method := range []string{"ram", "ramplus_tl"} {
		oneByOne(t, method, 4, func(r *rand.Rand, m oneTensor, grid bool) {
			for _, epsilon := range []float64{1e-5, 2.0 / 64} { // the latter is a value of the grid
				m.shared = Params{"epsilon": epsilon, "r": r.Float64(), "alpha": 3 * r.Float64()}
				m.hold(t, ramReference(m), m.tolerance())
			}
		})
	}
}
