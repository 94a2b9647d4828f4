package selective

import (
	"slices"

	"weld/internal/vec"
	"weld/stream/fuse"
)

// This file is the weighted mean of masked task vectors by the roots of second moments, [ByCurvature]: a is √v, of
// what an optimizer keeps as v, or of the mean of g² (arXiv 2509.11167).
//
//	D = Σ w·a·m⊙δ / Σ w·a·m
//
// m is 1 everywhere for a model of which everything is kept, though δ be 0: that model says that nothing is to change
// there, and how sure it is. Where Σ is 0 and such models are, no one of them is sure of anything, and D is their
// plain mean Σ wδ / Σ w: the limit of a + ε as ε goes to 0. It is 0 where nobody keeps the element.

// takenWhole reports whether model m's task vector has no mask: everything is kept, or the threshold is 0, which all scores reach. A threshold
// that an early pass looks for is above 0.
func (x *scoredTensor) takenWhole(m int) bool {
	k := &x.models[m]
	return k.role == ranked && k.ranking.quantile == nil && (k.ranking.threshold.All || k.ranking.threshold.T == 0)
}

// curvature is w·a·m of a candidate whose task vector is masked.
func curvature[T vec.Float](x *scoredTensor, s *fuse.Scratch, sp *fuse.Span, t fuse.Tile, m int, c candidate[T]) ([]T, error) {
	a := fuse.Take[float32](s, t.Len())
	decodeImportance(x, sp, t, m, a)
	if !x.takenWhole(m) {
		for i, d := range c.tau {
			if d == 0 { // what is kept differs from the base
				a[i] = 0
			}
		}
	}
	if err := x.judgeCurvature(sp, t, m, a); err != nil {
		return nil, err
	}
	weighed := fuse.Widened[T](s, a)
	vec.Scale(weighed, weighed, c.weight)
	return weighed, nil
}

// judgeCurvature stops the run at an a that is not finite, unless the user asked for something else.
func (x *scoredTensor) judgeCurvature(sp *fuse.Span, t fuse.Tile, m int, a []float32) error {
	i := vec.FirstNonFinite(a, infinity)
	if i < 0 || x.Nonfinite != fuse.StopNonfinite {
		return nil
	}
	e := &fuse.NonfiniteError{Tensor: x.job.Name, Index: t.Lo + int64(i), Whose: fuse.OfImportance, Model: m, Score: true, Value: float64(a[i])}
	if whose, held := fuse.CulpritAt(sp, t, i, m, e.Value); whose == fuse.OfImportance {
		e.Held = held
	}
	return e
}

// fillUnweighed gives elements of which no model's a says anything the plain mean of the models that are taken whole.
func fillUnweighed[T vec.Float](x *scoredTensor, s *fuse.Scratch, sp *fuse.Span, t fuse.Tile, base []T, sum combination[T]) {
	if !slices.Contains(sum.den, 0) {
		return
	}
	mean := fuse.Take[T](s, t.Len())
	vec.Fill(mean, 0)
	var total T
	for m := range x.models {
		if x.takenWhole(m) {
			height := s.Mark()
			w := T(x.models[m].weight)
			vec.Axpy(mean, w, loadModel(s, sp, t, m, base).delta)
			total += w
			s.Release(height)
		}
	}
	if total == 0 {
		return
	}
	for i, d := range sum.den {
		if d == 0 {
			sum.num[i] = mean[i] / total
		}
	}
}
