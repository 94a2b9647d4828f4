package moments

import (
	"math"
	"testing"

	"weld/format"
)

// Names of tensors are taken apart by what is known at their ends.
func TestPartOf(t *testing.T) {
	for name, want := range map[string][3]string{
		"state.0.exp_avg_sq":                                       {"", "0", "exp_avg_sq"},
		"optimizer.state.w.exp_avg_sq":                             {"optimizer", "w", "exp_avg_sq"},
		"optimizer.state.model.state.w.step":                       {"optimizer", "model.state.w", "step"},
		"state.model.state.w.step":                                 {"", "model.state.w", "step"},
		"state.w.__bnb_optimizer_quant_state__.state2":             {"", "w", "state2"},
		"a.b.state.layers.0.w.__bnb_optimizer_quant_state__.qmap2": {"a.b", "layers.0.w", "qmap2"},
		"state.w.average":                                          {},
		"state..step":                                              {},
		"states.w.step":                                            {},
		"step":                                                     {},
	} {
		of, key, kind, ok := partOf(name)
		if ok != (want[1] != "") || ok && [3]string{of, key, kind} != want {
			t.Errorf("%s: %q, %q, %q, %v; want %q", name, of, key, kind, ok, want)
		}
	}
	for name, want := range map[string]bool{"state.w.Q": true, "state.w.GG.0": true, "optimizer.state.w.Q.1": true, "state.w.Q.x": false, "state.w.QQ": false, "w.Q": false} {
		if rotated.MatchString(name) != want {
			t.Errorf("%s: a basis: %v", name, !want)
		}
	}
}

// What is divided by is said to be right only where decay and steps are known, and not where means do not begin at zero.
func TestBias(t *testing.T) {
	of := &group{decay: 0.5, initial: 0.1}
	for name, x := range map[string]struct {
		steps  float64
		known  bool
		g      *group
		by     float64
		enough bool
	}{
		"known": {3, true, of, 0.875, true}, "no steps": {0, false, of, 1, false}, "no group": {3, true, nil, 1, false}, "no decay": {3, true, new(group), 1, false}, "rising": {0, false, &group{rising: true}, 1, true},
	} {
		if by, enough := biasOf(x.steps, x.known, x.g); by != x.by || enough != x.enough {
			t.Errorf("%s: %g, %v", name, by, enough)
		}
		d := &stored{fades: true}
		if enough := d.correct(x.steps, x.known, x.g); enough != x.enough || d.bias != x.by {
			t.Errorf("%s, stored: %g, %v", name, d.bias, enough)
		}
		d = &stored{bias: 1}
		if enough := d.correct(x.steps, x.known, x.g); !enough || d.bias != 1 {
			t.Errorf("%s, where it does not fade: %g, %v", name, d.bias, enough)
		}
	}
	d := &accumulated{dtype: format.F32, steps: 1}
	if d.correct(4, true, nil) || d.correct(0, false, of) || !d.correct(4, true, of) || d.steps != 4 || math.Float64bits(d.initial) != math.Float64bits(float64(float32(0.1))) {
		t.Errorf("a sum: %+v", d)
	}
}

// Where no group is known, means of an optimizer with factors are taken to rise as Adafactor's do.
func TestGroupOf(t *testing.T) {
	of := map[string]*group{"w": {decay: 0.9}}
	for _, rising := range []bool{false, true} {
		s := &states{rising: rising}
		if g := s.group(of, param{key: "w"}); g != of["w"] {
			t.Error(g)
		}
		if g := s.group(of, param{key: "v"}); (g != nil) != rising || rising && !g.rising {
			t.Errorf("rising: %v: %v", rising, g)
		}
	}
}
