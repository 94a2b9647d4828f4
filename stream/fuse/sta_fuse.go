package fuse

import (
	"weld/internal/vec"
	"weld/scoring"
)

// fuseStage adds the masked task vectors to the base.
type fuseStage[T vec.Float] struct {
	*tensor
	finisher
}

func newFuseStage(x *tensor) Stage {
	f := finisher{x.job, x.Nonfinite}
	if x.job.Wide {
		return &fuseStage[float64]{x, f}
	}
	return &fuseStage[float32]{x, f}
}

// fuseReads says what must be seen to mask task vectors.
func (x *tensor) fuseReads() Reads {
	return Reads{Base: true, Models: true, Importance: x.Score.NeedsImportance() && x.Granularity != scoring.ByTensor && x.scored()}
}

// scored reports whether any model needs its scores in the last pass.
func (x *tensor) scored() bool {
	for m := range x.models {
		if x.usesScores(m) {
			return true
		}
	}
	return false
}

func (x *tensor) usesScores(m int) bool {
	return x.Combine == ByImportance || x.Contrast || (x.models[m].part == ranked && !x.models[m].ranking.cut.All)
}

func (st *fuseStage[T]) Reads() Reads { return st.fuseReads() }

func (st *fuseStage[T]) End() error {
	for m := range st.models {
		st.models[m].rows = nil
	}
	return nil
}

func (st *fuseStage[T]) Span(s *Scratch, sp *Span) error {
	kept := make([]int64, len(st.models))
	cuts := make([]scoring.Threshold, len(st.models))
	for m := range cuts {
		cuts[m] = st.models[m].ranking.cut.Raw(st.rankScale(m))
	}
	var vote election[T]
	for t := range sp.Tiles {
		s.reset()
		if err := st.tile(s, sp, t, cuts, &vote, kept); err != nil {
			return err
		}
	}
	for m, n := range kept {
		st.models[m].kept.Add(n)
	}
	return nil
}

// tile computes θ₀ + λ · Σ wₜ · mₜ ⊙ δₜ for one tile.
func (st *fuseStage[T]) tile(s *Scratch, sp *Span, t Tile, cuts []scoring.Threshold, vote *election[T], kept []int64) error {
	base := loadBase[T](s, sp, t)
	sum := newCombination[T](st.Combine, s, t.Len())
	if st.Consensus {
		vote.open(s, t.Len())
	}
	for m := range st.models {
		if st.models[m].part == dropped {
			continue
		}
		height := s.mark()
		v := loadModel(s, sp, t, m, base)
		if st.adds(m, cuts[m]) {
			n, err := addMasked(st.tensor, s, sp, t, m, v, cuts[m], sum.num)
			if err != nil {
				return err
			}
			kept[m] += int64(n)
			s.release(height)
			continue
		}
		scores, n, err := maskDelta(st.tensor, s, sp, t, m, v, cuts[m])
		if err != nil {
			return err
		}
		kept[m] += int64(n)
		if r := T(st.models[m].ratio); r != 1 {
			vec.Scale(v.delta, v.delta, r)
		}
		c := candidate[T]{weight: T(st.Models[m].Weight), tau: v.delta, scores: widen[T](s, scores)}
		if st.Consensus {
			vote.cast(s, c) // keeps its tiles until the count
			continue
		}
		sum.add(c)
		s.release(height)
	}
	if st.Consensus {
		for _, c := range vote.elect() {
			sum.add(c)
		}
	}
	out := sum.result()
	vec.Apply(out, base, T(st.Lambda), out)
	odd, err := encode(st.finisher, sp, t, out)
	st.odd.Add(odd)
	return err
}

// adds reports whether what model m's cut keeps is added as it is.
func (x *tensor) adds(m int, cut scoring.Threshold) bool {
	k := &x.models[m]
	return x.Combine == Sum && !x.Consensus && x.comparesRaw() && k.part == ranked && k.ratio == 1 && !cut.All
}

// addMasked adds w·m⊙δ to sum, mask and sum in one pass, and returns how many elements were kept.
func addMasked[T vec.Float](x *tensor, s *Scratch, sp *Span, t Tile, m int, v values[T], cut scoring.Threshold, sum []T) (kept int, err error) {
	rank, odd := rawScores(x, s, sp, t, m, v)
	if odd.count > 0 {
		if err := oddScore(x, t, m, odd.first, sp, s, v); err != nil {
			return 0, err
		}
	}
	return scoring.AddSelected(cut, sum, T(x.Models[m].Weight), v.delta, rank), nil
}

// maskDelta zeroes what model m's cut does not keep of v.delta, and returns the
// normalised scores, where the combination needs them, and how many elements were
// kept. The cut is for scores that rankScale has not normalised.
func maskDelta[T vec.Float](x *tensor, s *Scratch, sp *Span, t Tile, m int, v values[T], cut scoring.Threshold) (scores []float32, kept int, err error) {
	if !x.usesScores(m) {
		return nil, t.Len(), nil
	}
	k := &x.models[m]
	raw := x.comparesRaw() && k.part == ranked
	var rank []float32
	var odd oddity
	if raw {
		rank, odd = rawScores(x, s, sp, t, m, v)
	} else {
		scores, odd = normScores(x, s, sp, t, m, v)
	}
	if odd.count > 0 {
		if err := oddScore(x, t, m, odd.first, sp, s, v); err != nil {
			return nil, 0, err
		}
	}
	kept = t.Len()
	if k.part == ranked && !cut.All {
		if !raw {
			rank = rankScores(x, s, sp, t, m, scores, v.base)
		}
		kept = scoring.Select(cut, v.delta, rank)
	}
	if raw && x.Combine == ByImportance {
		scores = rank
		k.scale.Apply(scores)
	}
	return scores, kept, nil
}

// oddScore judges scores that are not finite: they do not matter where the model
// does not differ from the base, and stop the run elsewhere, unless the user asked
// for something else.
func oddScore[T vec.Float](x *tensor, t Tile, m, first int, sp *Span, s *Scratch, v values[T]) error {
	if x.Nonfinite != StopNonfinite {
		return nil
	}
	raw := take[float32](s, t.Len())
	compute(x, s, sp, t, m, raw, v)
	for i := first; i < len(raw); i++ {
		if !(raw[i] < infinity) && v.delta[i] != 0 {
			e := &NonfiniteError{Tensor: x.job.Name, Index: t.Lo + int64(i), Whose: culprit(sp, t, i, m), Model: m, Score: true, Value: float64(raw[i])}
			if e.Whose == Arithmetic {
				e.Whose = OfModel // a product of finite numbers that overflows
			}
			return e
		}
	}
	return nil
}
