package selective

import (
	"weld/internal/vec"
	"weld/scoring"
	"weld/stream/fuse"
)

// fuseStage adds the masked task vectors to the base.
type fuseStage[T vec.Float] struct {
	*scoredTensor
	fuse.Finisher
}

func newFuseStage(x *scoredTensor) fuse.Stage {
	f := fuse.Finisher{Job: x.job, Policy: x.Nonfinite}
	if x.job.Wide {
		return &fuseStage[float64]{x, f}
	}
	return &fuseStage[float32]{x, f}
}

// fuseReads says what must be seen to mask task vectors.
func (x *scoredTensor) fuseReads() fuse.Reads {
	reads := x.Score.NeedsImportance() && x.Granularity != scoring.ByTensor && x.scored()
	if x.Combine == ByCurvature {
		reads = !x.factored()
	}
	return fuse.Reads{Base: true, Models: true, Importance: reads}
}

// scored reports whether any model needs its scores in the last pass.
func (x *scoredTensor) scored() bool {
	for m := range x.models {
		if x.usesScores(m) {
			return true
		}
	}
	return false
}

func (x *scoredTensor) usesScores(m int) bool {
	return x.Combine == ByImportance || x.Contrast || (x.models[m].role == ranked && !x.models[m].ranking.threshold.All)
}

func (st *fuseStage[T]) Reads() fuse.Reads { return st.fuseReads() }

func (st *fuseStage[T]) End() error {
	st.forget()
	return nil
}

func (st *fuseStage[T]) Span(s *fuse.Scratch, sp *fuse.Span) error {
	kept := make([]int64, len(st.models))
	thresholds := make([]scoring.Threshold, len(st.models))
	for m := range thresholds {
		thresholds[m] = st.models[m].ranking.threshold.Raw(st.rankScale(m))
	}
	f := fusing[T]{thresholds: thresholds, kept: kept}
	for t := range sp.Tiles {
		s.Reset()
		if err := st.tile(s, sp, t, &f); err != nil {
			return err
		}
	}
	for m, n := range kept {
		if !sp.Again {
			st.models[m].kept.Add(n)
		}
	}
	return nil
}

// fusing is what a span's tiles have in common.
type fusing[T vec.Float] struct {
	thresholds []scoring.Threshold // of each model, for scores that rankScale has not normalised
	kept       []int64             // by each model, so far
	vote       election[T]
	undecided  *undecided // of a walk that finds the thresholds; else nil
}

// tile computes θ₀ + λ · Σ wₜ · mₜ ⊙ δₜ for one tile.
func (st *fuseStage[T]) tile(s *fuse.Scratch, sp *fuse.Span, t fuse.Tile, f *fusing[T]) error {
	base := fuse.DecodeBase[T](s, sp, t)
	sum := newCombination[T](st.Combine, s, t.Len())
	if st.Consensus {
		f.vote.open(s, t.Len())
	}
	for m := range st.models {
		if st.models[m].role == dropped {
			continue
		}
		height := s.Mark()
		v := loadScored(st.scoredTensor, s, sp, t, m, base)
		if st.adds(m, f.thresholds[m]) {
			n, err := addMasked(st.scoredTensor, s, sp, t, m, v, f.thresholds[m], f.undecided, sum.num)
			if err != nil {
				return err
			}
			f.kept[m] += int64(n)
			s.Release(height)
			continue
		}
		scores, n, err := maskDelta(st.scoredTensor, s, sp, t, m, v, f.thresholds[m], f.undecided)
		if err != nil {
			return err
		}
		if r := T(st.models[m].ratio); r != 1 {
			vec.Scale(v.delta, v.delta, r)
		}
		c := candidate[T]{weight: T(st.models[m].weight), tau: v.delta, scores: fuse.Widened[T](s, scores)}
		if st.Combine == ByCurvature {
			if c.scores, err = curvature(st.scoredTensor, s, sp, t, m, c); err != nil {
				return err
			}
			if st.takenWhole(m) {
				n = t.Len()
			}
		}
		f.kept[m] += int64(n)
		if st.Consensus {
			f.vote.cast(s, c) // keeps its tiles until the count
			continue
		}
		sum.add(c)
		s.Release(height)
	}
	if st.Consensus {
		for _, c := range f.vote.elect() {
			sum.add(c)
		}
	}
	out := sum.result()
	if st.Combine == ByCurvature {
		fillUnweighed(st.scoredTensor, s, sp, t, base, sum)
	}
	vec.Apply(out, base, T(st.Lambda), out)
	markUnsound(f.undecided, out, sp.OutDType)
	n, err := fuse.Encode(st.Finisher, sp, t, out)
	if !sp.Again {
		st.nonfinite.Add(n)
	}
	return err
}

// adds reports whether what model m's threshold keeps is added as it is.
func (x *scoredTensor) adds(m int, threshold scoring.Threshold) bool {
	k := &x.models[m]
	return x.Combine == Sum && !x.Consensus && x.comparesRaw() && k.role == ranked && k.ratio == 1 && !threshold.All
}

// addMasked adds w·m⊙δ to sum, mask and sum in one pass, and returns how many elements were kept.
func addMasked[T vec.Float](x *scoredTensor, s *fuse.Scratch, sp *fuse.Span, t fuse.Tile, m int, v values[T], threshold scoring.Threshold, u *undecided, sum []T) (kept int, err error) {
	rank, bad := rawScores(x, s, sp, t, m, v)
	if bad.count > 0 {
		if err := judgeScores(x, t, m, bad.first, sp, s, v); err != nil {
			return 0, err
		}
	}
	u.look(m, rank)
	return scoring.AddSelected(threshold, sum, T(x.models[m].weight), v.delta, rank), nil
}

// maskDelta zeroes what model m's threshold does not keep of v.delta, and returns the
// normalised scores, where the combination needs them, and how many elements were
// kept. The threshold is for scores that rankScale has not normalised.
func maskDelta[T vec.Float](x *scoredTensor, s *fuse.Scratch, sp *fuse.Span, t fuse.Tile, m int, v values[T], threshold scoring.Threshold, u *undecided) (scores []float32, kept int, err error) {
	if !x.usesScores(m) {
		return nil, t.Len(), nil
	}
	k := &x.models[m]
	raw := x.comparesRaw() && k.role == ranked
	var rank []float32
	var bad unusable
	if raw {
		rank, bad = rawScores(x, s, sp, t, m, v)
	} else {
		scores, bad = normScores(x, s, sp, t, m, v)
	}
	if bad.count > 0 {
		if err := judgeScores(x, t, m, bad.first, sp, s, v); err != nil {
			return nil, 0, err
		}
	}
	kept = t.Len()
	if k.role == ranked && !threshold.All {
		if !raw {
			rank = rankScores(x, s, sp, t, m, scores, v.base)
		}
		u.look(m, rank)
		kept = scoring.Select(threshold, v.delta, rank)
	}
	if raw && x.Combine == ByImportance {
		scores = rank
		k.scale.Apply(scores)
	}
	return scores, kept, nil
}

// judgeScores judges scores that are not finite: they do not matter where the model
// does not differ from the base, and stop the run elsewhere, unless the user asked
// for something else.
func judgeScores[T vec.Float](x *scoredTensor, t fuse.Tile, m, first int, sp *fuse.Span, s *fuse.Scratch, v values[T]) error {
	if x.Nonfinite != fuse.StopNonfinite {
		return nil
	}
	raw := fuse.Take[float32](s, t.Len())
	compute(x, s, sp, t, m, raw, v)
	for i := first; i < len(raw); i++ {
		if !(raw[i] < infinity) && v.delta[i] != 0 {
			e := &fuse.NonfiniteError{Tensor: x.job.Name, Index: t.Lo + int64(i), Model: m, Score: true, Value: float64(raw[i])}
			if e.Whose, e.Held = fuse.CulpritAt(sp, t, i, m, e.Value); e.Whose == fuse.Arithmetic {
				e.Whose = fuse.OfModel // a product of finite numbers that overflows
			}
			return e
		}
	}
	return nil
}
