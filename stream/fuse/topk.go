package fuse

import (
	"sync"

	"weld/internal/vec"
	"weld/scoring"
)

// topK selects exactly the k elements of a tensor with the highest scores, those of equal
// scores in the order of their index. Scores are float32, finite and at least 0. They are
// searched by the histograms of [scoring.Quantile], in stages over the tensor, and never sorted.
type topK struct {
	k, n int64

	mu       sync.Mutex
	quantile *scoring.Quantile
	least    float32 // the k-th largest score
	above    int64   // elements with a higher one
	ties     []int64 // for each tile, elements with that score in the tiles before
}

// newTopK selects k of the tensor's elements.
func newTopK(j *job, k int64) *topK {
	n := j.Tiling.Elements()
	return &topK{k: min(max(k, 0), n), n: n}
}

// topKBytes bounds what a selection holds of a tensor.
func topKBytes(j *Job) int64 { return scoring.QuantileBytes + 8*j.Tiling.Count() }

// all and none are selections without a search.
func (c *topK) all() bool  { return c.k == c.n }
func (c *topK) none() bool { return c.k == 0 }

// stages search for the selection; score computes a tile's scores.
func topKStages[T vec.Float](j *job, c *topK, reads Reads, score func(in input[T]) []float32) []Stage {
	if c.all() || c.none() {
		return nil
	}
	c.quantile = scoring.NewQuantile(c.k)
	count := func() Stage { return &topKCount[T]{job: j, topK: c, reads: reads, score: score} }
	type figures struct{ above, ties int64 }
	var ties int64
	last := measure(j, reads, func(in input[T]) figures {
		s := score(in)
		atLeast := int64(vec.CountAtLeast(s, c.least))
		if c.least == 0 {
			atLeast = int64(len(s))
		}
		above := int64(vec.CountAtLeast(s, nextUp(c.least)))
		return figures{above, atLeast - above}
	}, func(f figures) {
		c.ties = append(c.ties, ties)
		ties += f.ties
		c.above += f.above
	}, nil)
	return []Stage{count(), count(), last}
}

// topKCount is one pass of the search.
type topKCount[T vec.Float] struct {
	*job
	*topK
	reads Reads
	score func(in input[T]) []float32
}

func (st *topKCount[T]) Reads() Reads { return st.reads }

// Idle implements [Optional].
func (st *topKCount[T]) Idle() bool { return st.quantile == nil }

func (st *topKCount[T]) Span(s *Scratch, sp *Span) error {
	counts := s.histogram()
	hand := func() {
		st.mu.Lock()
		st.quantile.Add(counts)
		st.mu.Unlock()
	}
	window := st.quantile.Window(scoring.Identity)
	for t := range sp.Tiles {
		s.reset()
		if counts.Full(t.Len()) {
			hand()
		}
		st.quantile.Count(counts, st.score(input[T]{st.job, s, sp, t}), window)
	}
	hand()
	return nil
}

func (st *topKCount[T]) End() error {
	if !st.quantile.Next() {
		st.least, st.quantile = st.quantile.Value(), nil
	}
	return nil
}

// keepTop sets to +0 the elements of x that are not selected; s are the tile's scores. It
// returns how many are.
func keepTop[T vec.Float](c *topK, t Tile, x []T, s []float32) (kept int64) {
	switch {
	case c.all():
		return int64(len(x))
	case c.none():
		vec.Fill(x, 0)
		return 0
	case c.least == 0: // elements with a score of 0 are selected too, as far as they are needed
		return maskTies(c, t, x, s, int64(vec.CountAtLeast(s, 0)))
	}
	kept = int64(vec.Select(x, s, c.least))
	return maskTies(c, t, x, s, kept)
}

// maskTies drops those of equal scores that come too late.
func maskTies[T vec.Float](c *topK, t Tile, x []T, s []float32, atLeast int64) (kept int64) {
	left := c.k - c.above - c.ties[t.Index] // ties that may still be selected
	above := int64(vec.CountAtLeast(s, nextUp(c.least)))
	if c.least > 0 && atLeast-above <= left {
		return atLeast
	}
	kept = above
	for i, v := range s {
		if v != c.least {
			continue
		}
		if left > 0 {
			left--
			kept++
		} else {
			x[i] = 0
		}
	}
	return kept
}

// selected fills in with 1 where an element is selected, and 0 elsewhere.
func selected[T vec.Float](c *topK, t Tile, in []T, s []float32) {
	vec.Fill(in, 1)
	keepTop(c, t, in, s)
}

// magnitudes are |x| as scores. What is not finite counts as the largest finite value, so that
// it is kept, and judged when it is written.
func magnitudes[T vec.Float](in input[T], x []T) []float32 {
	s := take[float32](in.s, len(x))
	vec.Abs(s, single(in.s, x))
	clampScores(s)
	return s
}

// clampScores makes scores finite.
func clampScores(s []float32) {
	for at := 0; ; {
		i := vec.FirstNonFinite(s[at:], infinity)
		if i < 0 {
			return
		}
		s[at+i] = largest
		at += i + 1
	}
}
