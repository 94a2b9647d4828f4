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

// topKStages search for the selection; score computes a tile's scores.
func topKStages[T vec.Float](j *job, c *topK, reads Reads, score func(in input[T]) []float32) []Stage {
	return searchTopK(j, reads, []topKOf[T]{{c, score}})
}

// topKOf is a selection by scores.
type topKOf[T vec.Float] struct {
	*topK
	score func(in input[T]) []float32
}

// searchTopK searches for several selections in the same stages.
func searchTopK[T vec.Float](j *job, reads Reads, of []topKOf[T]) []Stage {
	var open []topKOf[T]
	for _, c := range of {
		if !c.all() && !c.none() {
			c.quantile = scoring.NewQuantile(c.k)
			open = append(open, c)
		}
	}
	if len(open) == 0 {
		return nil
	}
	count := func() Stage { return &topKCount[T]{job: j, of: open, reads: reads} }
	type figures struct{ above, ties int64 }
	ties := make([]int64, len(open))
	last := measure(j, reads, func(in input[T]) []figures {
		f := make([]figures, len(open))
		for i, c := range open {
			height := in.s.mark()
			s := c.score(in)
			in.s.release(height)
			atLeast := int64(vec.CountAtLeast(s, c.least))
			if c.least == 0 {
				atLeast = int64(len(s))
			}
			above := int64(vec.CountAtLeast(s, nextUp(c.least)))
			f[i] = figures{above, atLeast - above}
		}
		return f
	}, func(f []figures) {
		for i, c := range open {
			if c.ties == nil {
				c.ties = make([]int64, 0, j.Tiling.Count())
			}
			c.ties = append(c.ties, ties[i])
			ties[i] += f[i].ties
			c.above += f[i].above
		}
	}, nil)
	return []Stage{count(), count(), last}
}

// topKCount is one pass of the searches.
type topKCount[T vec.Float] struct {
	*job
	of    []topKOf[T]
	reads Reads
}

func (st *topKCount[T]) Reads() Reads { return st.reads }

// Idle implements [Optional].
func (st *topKCount[T]) Idle() bool {
	for _, c := range st.of {
		if c.quantile != nil {
			return false
		}
	}
	return true
}

func (st *topKCount[T]) Span(s *Scratch, sp *Span) error {
	for _, c := range st.of {
		if c.quantile != nil {
			c.count(st.job, s, sp)
		}
	}
	return nil
}

func (c topKOf[T]) count(j *job, s *Scratch, sp *Span) {
	counts := s.histogram()
	hand := func() {
		c.mu.Lock()
		c.quantile.Add(counts)
		c.mu.Unlock()
	}
	window := c.quantile.Window(scoring.Identity)
	for t := range sp.Tiles {
		s.reset()
		if counts.Full(t.Len()) {
			hand()
		}
		c.quantile.Count(counts, c.score(input[T]{j, s, sp, t}), window)
	}
	hand()
}

func (st *topKCount[T]) End() error {
	for _, c := range st.of {
		if c.quantile != nil && !c.quantile.Next() {
			c.least, c.quantile = c.quantile.Value(), nil
		}
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
	if left <= 0 {
		return int64(vec.Select(x, s, nextUp(c.least)))
	}
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
