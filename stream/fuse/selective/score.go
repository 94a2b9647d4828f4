package selective

import (
	"math"

	"weld/format"
	"weld/internal/vec"
	"weld/scoring"
	"weld/stream/fuse"
)

// values are one model's operands in one tile, as far as they were asked for.
type values[T vec.Float] struct {
	base, delta []T
	scores      []float32 // raw, before they are sharpened
	finite      bool      // all of them are
}

// loadModel makes model m's difference from the base, where there is one.
func loadModel[T vec.Float](s *fuse.Scratch, sp *fuse.Span, t fuse.Tile, m int, base []T) values[T] {
	v := values[T]{base: base}
	if base != nil {
		o := sp.Models[m]
		v.delta = fuse.Take[T](s, t.Len())
		format.Delta(o.DType, v.delta, o.Of(t), base)
	}
	return v
}

// scoreReads says what must be seen to score the models of a tensor.
func (x *merge) scoreReads() fuse.Reads {
	if x.Granularity == scoring.ByTensor {
		return fuse.Reads{} // the summary says it all
	}
	return x.rawReads()
}

func (x *merge) rawReads() fuse.Reads {
	return fuse.Reads{
		Base:       x.Score.NeedsDelta(),
		Models:     x.Score.NeedsDelta() || x.Score.NeedsWeight(),
		Importance: x.Score.NeedsImportance(),
	}
}

// loadFor decodes what the scores of model m need beside what they are computed from as it is stored.
func loadFor[T vec.Float](x *scoredTensor, s *fuse.Scratch, sp *fuse.Span, t fuse.Tile, m int) values[T] {
	var v values[T]
	reads := x.rawReads()
	if reads.Base && (x.Contrast || !x.weighsDelta(m) || !direct(sp.Base, sp.Models[m], sp.Importance[m])) {
		v = loadModel(s, sp, t, m, fuse.DecodeBase[T](s, sp, t))
	}
	return v
}

// weighsDelta reports whether the scores of model m are made of |δ|·|a|, a being what its importance file holds.
func (x *scoredTensor) weighsDelta(m int) bool {
	return !x.job.Wide && x.Score.NeedsDelta() && x.Score.NeedsImportance() && x.Models[m].Statistic.IsMagnitude() && x.models[m].factors == nil
}

// direct reports whether operands are stored as kernels take them that score them straight from their bytes.
func direct(operands ...fuse.Operand) bool {
	for _, o := range operands {
		if !format.DirectProducts(o.DType) {
			return false
		}
	}
	return true
}

// loadScored is [loadModel], with raw scores from the same pass where they will be asked for and come almost for nothing.
func loadScored[T vec.Float](x *scoredTensor, s *fuse.Scratch, sp *fuse.Span, t fuse.Tile, m int, base []T) values[T] {
	singles, ok := any(base).([]float32)
	if !ok || x.models[m].role != ranked || x.Granularity == scoring.ByTensor || !x.usesScores(m) || !x.weighsDelta(m) || !direct(sp.Models[m], sp.Importance[m]) {
		return loadModel(s, sp, t, m, base)
	}
	v := values[T]{base: base, delta: fuse.Take[T](s, t.Len()), scores: fuse.Take[float32](s, t.Len())}
	v.finite = format.DeltaMulAbs(any(v.delta).([]float32), v.scores, sp.Models[m].Of(t), singles, sp.Importance[m].Of(t))
	return v
}

// unusable says which scores of a tile are not finite.
type unusable struct{ first, count int }

// rawScores are model m's scores in a tile, before normalisation. A score that is
// not finite counts as 0.
func rawScores[T vec.Float](x *scoredTensor, s *fuse.Scratch, sp *fuse.Span, t fuse.Tile, m int, v values[T]) (scores []float32, bad unusable) {
	finite := v.finite
	if scores = v.scores; scores != nil {
		x.Score.Sharpen(scores)
	} else {
		scores = fuse.Take[float32](s, t.Len())
		finite = compute(x, s, sp, t, m, scores, v)
	}
	if finite && x.Score != scoring.Fisher { // a square may overflow
		return scores, unusable{first: -1}
	}
	bad.first = vec.FirstNonFinite(scores, infinity)
	for i := bad.first; i >= 0 && i < len(scores); i++ {
		if x := scores[i]; !(x < infinity) {
			scores[i] = 0
			bad.count++
		}
	}
	return scores, bad
}

// compute fills scores with model m's raw scores, finite or not, and reports whether it knows that what they were made of is finite.
func compute[T vec.Float](x *scoredTensor, s *fuse.Scratch, sp *fuse.Span, t fuse.Tile, m int, scores []float32, v values[T]) (finite bool) {
	height := s.Mark()
	defer s.Release(height)
	var theta, a []float32
	if x.Score.NeedsImportance() {
		a = fuse.Take[float32](s, t.Len())
	}
	if x.Score.NeedsWeight() {
		o := sp.Models[m]
		if !x.job.Wide && x.Models[m].Statistic.IsMagnitude() {
			return format.MulAbs(scores, o.DType, o.Of(t), sp.Importance[m].DType, sp.Importance[m].Of(t), a)
		}
		wide := fuse.Take[T](s, t.Len())
		format.Decode(o.DType, wide, o.Of(t))
		theta = fuse.Narrowed(s, wide)
	}
	if x.weighsDelta(m) {
		importance := sp.Importance[m]
		if v.delta == nil {
			finite = format.MulAbsDelta(scores, sp.Models[m].Of(t), sp.Base.Of(t), importance.Of(t))
		} else {
			finite = format.MulAbsBy(scores, fuse.Narrowed(s, v.delta), importance.DType, importance.Of(t), a)
		}
		x.Score.Sharpen(scores)
		return finite
	}
	if a != nil {
		decodeImportance(x, sp, t, m, a)
	}
	x.Score.Compute(scores, theta, fuse.Narrowed(s, v.delta), a)
	return false
}

// decodeImportance fills a with what model m's importance file says of a tile.
func decodeImportance(x *scoredTensor, sp *fuse.Span, t fuse.Tile, m int, a []float32) {
	if f := x.models[m].factors; f != nil {
		f.fill(a, t)
		return
	}
	o, statistic := sp.Importance[m], x.Models[m].Statistic
	if statistic.IsMagnitude() {
		format.Abs(o.DType, a, o.Of(t)) // in one pass
		return
	}
	format.Decode(o.DType, a, o.Of(t))
	statistic.Magnitude(a)
}

var infinity = float32(math.Inf(1))

// normScores are model m's normalised scores in a tile, each element with the score
// of the row or tensor that it stands and falls with.
func normScores[T vec.Float](x *scoredTensor, s *fuse.Scratch, sp *fuse.Span, t fuse.Tile, m int, v values[T]) (scores []float32, bad unusable) {
	k := &x.models[m]
	if k.role == whole || x.Granularity == scoring.ByTensor {
		scores = fuse.Take[float32](s, t.Len())
		vec.Fill(scores, x.tensorScore(m))
		return scores, bad
	}
	scores, bad = rawScores(x, s, sp, t, m, v)
	row := int(x.job.Tiling.RowLen())
	switch {
	case x.Granularity == scoring.ByElement || row == 1:
		k.scale.Apply(scores)
	case x.job.Tiling.LongRows():
		vec.Fill(scores, k.scale.One(k.rows[x.job.Tiling.Row(t.Index)]))
	default:
		for lo := 0; lo < len(scores); lo += row {
			r := scores[lo : lo+row]
			vec.Fill(r, k.scale.One(x.Normalization.Summarize(r).Mean()))
		}
	}
	return scores, bad
}

// tensorScore is the one normalised score of a tensor that is kept or dropped as a
// whole.
func (x *scoredTensor) tensorScore(m int) float32 {
	k := &x.models[m]
	if k.role == whole {
		return 1
	}
	return k.scale.One(k.mean)
}

// rankScores are the scores by which the elements of model m are ranked: scores
// itself, or its contrast with those of the other models. base is nil or decoded.
func rankScores[T vec.Float](x *scoredTensor, s *fuse.Scratch, sp *fuse.Span, t fuse.Tile, m int, scores []float32, base []T) []float32 {
	if !x.Contrast {
		return scores
	}
	others, out := fuse.Take[float32](s, t.Len()), fuse.Take[float32](s, t.Len())
	vec.Fill(others, 0)
	for u := range x.models {
		if u == m || x.models[u].role == dropped {
			continue
		}
		height := s.Mark()
		var v values[T]
		if x.models[u].role == ranked && x.Granularity != scoring.ByTensor {
			if base != nil {
				v = loadModel(s, sp, t, u, base)
			} else {
				v = loadFor[T](x, s, sp, t, u)
			}
		}
		score, _ := normScores(x, s, sp, t, u, v)
		vec.Add(others, score)
		s.Release(height)
	}
	vec.Contrast(out, scores, others, float32(len(x.models)-1), contrastFloor)
	return out
}

// rankScale is what the scores of ranks have yet to be normalised by.
func (x *scoredTensor) rankScale(m int) scoring.Scale {
	if x.comparesRaw() {
		return x.models[m].scale
	}
	return scoring.Identity
}

// modelRanks loads and scores model m: the scores by which its elements are ranked, but for
// the normalisation by rankScale.
func modelRanks[T vec.Float](x *scoredTensor, s *fuse.Scratch, sp *fuse.Span, t fuse.Tile, m int) (rank []float32, bad unusable) {
	var v values[T]
	if x.Granularity != scoring.ByTensor {
		v = loadFor[T](x, s, sp, t, m)
	}
	if x.comparesRaw() {
		return rawScores(x, s, sp, t, m, v)
	}
	scores, bad := normScores(x, s, sp, t, m, v)
	return rankScores(x, s, sp, t, m, scores, v.base), bad
}
