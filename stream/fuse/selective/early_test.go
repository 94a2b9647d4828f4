package selective

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"weld/format"
	"weld/scoring"
	"weld/stream/fuse"
	"weld/stream/fuse/fusetest"
)

// bracketed is a merge whose sample gives brackets that the test has chosen, and takes them for narrow.
type bracketed struct {
	*merge
	brackets []scoring.Bracket
	nudged   bool
	guess    float32 // where in them, from 0 to 1
	early    int     // passes that fused early
	vain     int     // of them in vain
}

// Next implements [fuse.Method].
func (b *bracketed) Next() *fuse.Pass {
	p := b.merge.Next()
	if p == nil || p.Name != "sample" || b.nudged {
		return p
	}
	b.nudged = true
	nudged := *p
	nudged.End = func() error {
		if err := p.End(); err != nil {
			return err
		}
		b.merge.early, b.passes = true, nil
		for i := range b.tensors {
			for t := range b.tensors[i].models {
				b.tensors[i].models[t].table = nil
			}
		}
		for t, r := range b.ranking {
			if r.quantile != nil {
				r.bracket, r.guess = b.brackets[t], b.brackets[t].Low+(b.brackets[t].High-b.brackets[t].Low)*b.guess
				r.quantile.Narrow(r.bracket)
			}
		}
		return nil
	}
	return &nudged
}

// Early implements [fuse.Early].
func (b *bracketed) Early() *fuse.EarlyPass {
	p := b.merge.Early()
	if p == nil {
		return nil
	}
	b.early++
	counted := *p
	counted.Decided = func() bool {
		if !p.Decided() {
			b.vain++
			return false
		}
		return true
	}
	return &counted
}

// randomEarly draws options of which some model's threshold is looked for.
func randomEarly(r *rand.Rand) Options {
	o := randomSTA(r, 3)
	o.Scope, o.Granularity, o.Contrast, o.Early = scoring.WholeModel, scoring.ByElement, false, true
	o.Rescale, o.Score = Rescale(r.IntN(2)), scoring.Score(r.IntN(5))
	for m := range o.Models {
		o.Models[m].Fixed = o.Models[m].Fixed && o.Rescale == NoRescale
	}
	o.Models[0].Fixed, o.Models[0].Density = false, []float64{0.01, 0.2, 0.5}[r.IntN(3)]
	if o.Score.NeedsImportance() && r.IntN(4) == 0 {
		o.Combine, o.Normalization, o.KeepMissing, o.Score, o.Consensus = ByCurvature, scoring.Raw, false, scoring.Delta, false
		for m := range o.Models {
			o.Models[m].Weight = math.Abs(o.Models[m].Weight)
		}
	}
	return o
}

// around are brackets near the thresholds that a merge has found, in relation to them.
func (m *merge) around(low, high float64) (list []scoring.Bracket) {
	for _, r := range m.ranking {
		t := float64(r.threshold.T)
		list = append(list, scoring.Bracket{Low: float32(math.Min(t*low, math.MaxFloat32)), High: float32(math.Min(t*high, math.MaxFloat32))})
	}
	return list
}

// What is fused while thresholds are looked for, and decided afterwards, is what is fused when they are known, with the same results: whether the
// bracket holds the threshold, is beside it, or is nowhere near.
func TestEarlySTAEqualsTwoPasses(t *testing.T) {
	r := rand.New(rand.NewPCG(51, 52))
	cases := map[string]struct {
		low, high   float64
		early, vain int // of passes, in a merge with a threshold above 0
	}{
		"inside": {0.985, 1.01, 1, 0}, "only the threshold": {1, 1, 1, 0}, "just above": {1.001, 1.003, 2, 1}, "just below": {0.997, 0.999, 2, 1},
		"far above": {1.8, 1.801, 2, 2}, "far below": {0.4, 0.401, 2, 2}, "too wide": {0.5, 2, 1, 1},
	}
	left, whole, trials := 0, 0, 0
	for _, dtype := range []format.DType{format.F32, format.BF16, format.F64} {
		in := fusetest.Fixture(uint64(dtype), dtype, 3)
		for trial := range 10 {
			o := randomEarly(r)
			two := o
			two.Early = false
			known := two.Method(in.Jobs).(*merge)
			sampling(known)
			want := in.Drive(t, known, uint64(trial))
			if slices.ContainsFunc(known.ranking, func(r *ranking) bool { return r.threshold.T == 0 && !r.threshold.All }) {
				continue // is not fused early; see samplingPass
			}
			trials++
			for name, c := range cases {
				m := &bracketed{merge: o.Method(in.Jobs).(*merge), brackets: known.around(c.low, c.high), guess: []float32{0, 0.5, 1}[trial%3]}
				sampling(m.merge)
				got := in.Drive(t, m, uint64(trial)+1)
				for j := range want {
					if !bytes.Equal(got[j], want[j]) {
						t.Fatalf("%v, trial %d, %s, tensor %d: differs\n%+v", dtype, trial, name, j, o)
					}
				}
				if a, b := fmt.Sprint(m.Results()), fmt.Sprint(known.Results()); a != b {
					t.Fatalf("%v, trial %d, %s: results %s, want %s\n%+v", dtype, trial, name, a, b, o)
				}
				if m.early != c.early || m.vain != c.vain {
					t.Errorf("%v, trial %d, %s: %d early passes, %d in vain, want %d and %d\n%+v %v", dtype, trial, name, m.early, m.vain, c.early, c.vain, o, m.brackets)
				}
				if name == "inside" {
					left += in.Left()
					for _, j := range in.Jobs {
						whole += int(j.Tiling.Elements())
					}
				}
			}
		}
	}
	if trials < 12 {
		t.Errorf("only %d trials", trials)
	}
	if left == 0 || left > whole/4 {
		t.Errorf("%d of %d elements were left", left, whole)
	}
}
