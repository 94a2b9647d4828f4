package stream

import (
	"context"
	"math"

	"weld/stream/fuse"
	"weld/stream/plan"
	"weld/stream/run"
)

// Diff is what differs between two checkpoints.
type Diff struct {
	A       string       `json:"a"`
	B       string       `json:"b"`
	Tensors []TensorDiff `json:"tensors"` // that differ, worst first
	Equal   int          `json:"equal"`   // tensors that do not
	OnlyA   []string     `json:"only_a"`
	OnlyB   []string     `json:"only_b"`
	Notes   []string     `json:"notes,omitempty"`
	// Tensors that are equal, and have values that are not finite.
	EqualNonfinite []string `json:"equal_nonfinite,omitempty"`
}

// TensorDiff is how one tensor differs. Figures that could not be computed are not there.
type TensorDiff struct {
	Name       string `json:"name"`
	Note       string `json:"note,omitempty"` // where the values could not be compared, or types differ
	Compared   string `json:"compared"`       // "values", "elements" or "bytes", which are equal or not, or "nothing"
	Elements   int64  `json:"elements"`       // that were compared, or bytes
	Different  int64  `json:"different"`
	Nonfinite  int64  `json:"nonfinite"`   // of these, where a value is infinite or no number
	NonfiniteA int64  `json:"nonfinite_a"` // values of a that are, in all elements
	NonfiniteB int64  `json:"nonfinite_b"`
	*Distance
}

// Distance is how far values are apart, over the elements that are finite on both sides. There is none where these
// do not differ, and others do.
type Distance struct {
	Max      float64  `json:"max_abs"`
	Mean     float64  `json:"mean_abs"`
	Relative *float64 `json:"relative,omitempty"` // ‖b − a‖ / ‖a‖; −1 where a is 0 and b is not
	Cosine   *float64 `json:"cosine,omitempty"`   // of the angle, where neither is 0
}

// Same reports whether the checkpoints hold the same tensors with the same values.
func (d *Diff) Same() bool { return len(d.Tensors) == 0 && len(d.OnlyA) == 0 && len(d.OnlyB) == 0 }

// CompareCheckpoints reads two checkpoints and reports what differs, in float64.
func CompareCheckpoints(ctx context.Context, a, b string, o Options) (*Diff, error) {
	o = o.withDefaults()
	planning := o.planning()
	planning.Found = foundBytes
	pair, err := plan.OpenPair(a, b, planning)
	if err != nil {
		return nil, err
	}
	defer pair.Close()
	c := newComparison(pair, &Diff{A: a, B: b, Tensors: []TensorDiff{}, OnlyA: []string{}, OnlyB: []string{}, Notes: pair.Notes}) // no null in JSON
	demand := run.Demand{Tensors: c, Cost: c.Cost(), Inputs: checkpoints(&pair.Inputs), Held: pair.HeldBytes(len(c.pairs), foundBytes), Touched: pair.FileBytes()}
	budget, err := run.Divide(demand, o.Memory, o.Threads, o.Cache)
	if err != nil {
		return nil, err
	}
	runner := run.New(run.Config{Tensors: c, Method: c, Budget: budget, Progress: o.Progress})
	if _, err := runner.Survey(ctx, c.pass()); err != nil {
		return nil, err
	}
	if err := pair.Unchanged(); err != nil {
		return nil, err
	}
	return c.finish(), nil
}

// severity orders differences: what cannot be compared, what is not finite, then by
// the relative difference; equal or not counts by its share.
func (t TensorDiff) severity() float64 {
	share := float64(t.Different) / float64(max(1, t.Elements))
	switch {
	case t.Compared == comparedNothing:
		return math.Inf(1)
	case t.Nonfinite > 0:
		return math.MaxFloat64
	case t.Distance == nil:
		return share
	case t.Relative == nil || *t.Relative < 0:
		return math.MaxFloat64 / 2
	case *t.Relative == 0: // zeros of other sign
		return share
	}
	return *t.Relative
}

// comparedNothing is what was compared of tensors of different shapes, or of types that have nothing in common.
const comparedNothing = "nothing"

// distanceOf is nil where no values are compared, and where only those differ that are not finite: a distance of 0
// would be read as one of all elements.
func distanceOf(r fuse.Difference) *Distance {
	mean, known := r.Mean()
	if !known || r.Nonfinite > 0 && r.Max == 0 {
		return nil
	}
	d := new(struct { // one piece of memory
		Distance
		relative, cosine float64
	})
	d.Max, d.Mean = r.Max, mean
	if d.relative, known = r.Relative(); known {
		d.Relative = &d.relative
	}
	if d.cosine, known = r.Cosine(); known {
		d.Cosine = &d.cosine
	}
	return &d.Distance
}
