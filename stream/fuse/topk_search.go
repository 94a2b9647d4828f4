package fuse

import (
	"weld/internal/vec"
	"weld/scoring"
)

// Selections are selections by the same scores; score computes those of a tile.
type Selections[T vec.Float] struct {
	Of    []*TopK
	Score func(in Operands[T]) []float32
}

// searching are the selections whose search goes on.
func (g Selections[T]) searching() (open []*TopK) {
	for _, c := range g.Of {
		if c.quantile != nil {
			open = append(open, c)
		}
	}
	return open
}

// SearchTopK searches for selections in stages. Scores are never sorted, and the selection is exact in every case.
//
// The scores of a small tensor are held, and histograms of their bits find the least selected score. Of a large
// tensor, a sample of 256 blocks of 256 neighbours says where it lies, all but certainly. One pass holds the
// scores inside that bracket, a few hundredths, and counts those above. The least selected score is the right one of those
// held. Of elements equal to it, those of the lowest index are selected, which the held scores show too.
//
// If they are too many, or the sample misled, passes of histograms find it, and a last one numbers those of
// equal scores where only some are wanted.
func SearchTopK[T vec.Float](j *Fusion, reads Reads, groups []Selections[T]) []Stage {
	var open []Selections[T]
	for _, g := range groups {
		var of []*TopK
		for _, c := range g.Of {
			if c.share > 0 || !c.All() && !c.None() {
				of = append(of, c)
			}
		}
		if len(of) > 0 {
			open = append(open, Selections[T]{of, g.Score})
		}
	}
	if len(open) == 0 {
		return nil
	}
	search := topKSearch[T]{Fusion: j, groups: open, reads: reads}
	if !sampled(j.Job) {
		return []Stage{newTopKWhole(search)}
	}
	stages := []Stage{newTopKSample(search), &topKHold[T]{search}}
	for range mostPasses {
		stages = append(stages, &topKCount[T]{search})
	}
	return append(stages, &topKTies[T]{search, InOrder[[]int64]{Fold: search.number}})
}

// mostPasses is how many histograms take if the sample misled: over its interval, over those above or
// below, and within one of their bins.
const mostPasses = 3

// topKSearch is what the stages of a search share.
type topKSearch[T vec.Float] struct {
	*Fusion
	groups []Selections[T]
	reads  Reads
}

func (st topKSearch[T]) Reads() Reads { return st.reads }

// tile is what is seen of a tile.
func (st topKSearch[T]) tile(s *Scratch, sp *Span, t Tile) Operands[T] {
	s.Reset()
	return Operands[T]{st.Fusion, s, sp, t}
}

// Figures of a sample.
const (
	LeastSampled = 1 << 20 // elements of a tensor; the scores of a smaller one are held
	sampleScores = 1 << 16 // that are kept
	sketchBytes  = 5 * sampleScores
	mostHeld     = 2 << 20 // scores
)

func sampled(j *Job) bool { return j.Tiling.Elements() >= LeastSampled }

// topKSample takes a sample of the scores and narrows the searches by it.
type topKSample[T vec.Float] struct {
	topKSearch[T]
	tiling Tiling
}

func newTopKSample[T vec.Float](search topKSearch[T]) *topKSample[T] {
	st := &topKSample[T]{topKSearch: search}
	n := search.Tiling.Elements()
	for _, g := range search.groups {
		for _, c := range g.Of {
			c.sketch = scoring.NewSketch(n, n*(scoring.SampleSize/sampleScores), false)
			st.tiling = search.Tiling.Sparse(c.sketch.Blocks(), scoring.BlockElements)
		}
	}
	return st
}

// Tiling implements [Sampling].
func (st *topKSample[T]) Tiling() Tiling { return st.tiling }

func (st *topKSample[T]) Span(s *Scratch, sp *Span) error {
	for t := range sp.Tiles {
		in := st.tile(s, sp, t)
		for _, g := range st.groups {
			height := s.Mark()
			scores := g.Score(in)
			for _, c := range g.Of {
				scoring.Raw.Put(c.sketch, t.Index, scores)
				if c.share > 0 {
					c.varied.Add(int64(vec.CountAtLeast(scores, leastScore)))
				}
			}
			s.Release(height)
		}
	}
	return nil
}

func (st *topKSample[T]) End() error {
	for _, g := range st.groups {
		for _, c := range g.Of {
			k := c.k
			if c.share > 0 {
				varied := float64(c.varied.Load()) / float64(st.tiling.Covered())
				k = max(1, int64(varied*float64(c.share)*float64(c.n)))
				c.varied.Store(0)
			}
			b := scoring.Raw.Estimate([]*scoring.Sketch{c.sketch}, []*scoring.Scale{nil}, k, c.n, scoring.SampleSigma)
			if n := int64(b.Inside * float64(c.n)); n < mostHeld*3/4 {
				c.held = scoring.NewCandidates(b.Bracket, min(n+n/4, mostHeld), mostHeld)
			} else {
				c.quantile = scoring.NewQuantile(k)
				c.quantile.Narrow(b.Bracket)
			}
			c.sketch = nil
		}
	}
	return nil
}

// leastScore is the smallest score that is not 0.
var leastScore = NextUp(0)

// topKHold is the pass that holds scores. It counts those that are not 0, too.
type topKHold[T vec.Float] struct{ topKSearch[T] }

// Skip implements [Optional].
func (st *topKHold[T]) Skip() bool {
	for _, g := range st.groups {
		for _, c := range g.Of {
			if c.held != nil || c.share > 0 {
				return false
			}
		}
	}
	return true
}

// Likely implements [Likely].
func (st *topKHold[T]) Likely() bool { return st.holds() }

// holds reports whether the scores inside brackets will probably be held: of more elements they are too many.
func (st topKSearch[T]) holds() bool { return st.Tiling.Elements() < insideOnce*(mostHeld*3/4) }

// insideOnce is how many elements of models in bfloat16 have one inside a bracket, or more.
const insideOnce = 24

func (st *topKHold[T]) Span(s *Scratch, sp *Span) error {
	for t := range sp.Tiles {
		in := st.tile(s, sp, t)
		for g, group := range st.groups {
			height := s.Mark()
			scores := group.Score(in)
			for i, c := range group.Of {
				if c.share > 0 {
					c.varied.Add(int64(vec.CountAtLeast(scores, leastScore)))
				}
				if c.held != nil {
					run := s.heldRun(g, i)
					c.held.Note(run, t.Index, scores)
					if run.Full() {
						c.hold(run)
					}
				}
			}
			s.Release(height)
		}
	}
	for g, group := range st.groups {
		for i, c := range group.Of {
			if c.held != nil {
				c.hold(s.heldRun(g, i))
			}
		}
	}
	return nil
}

// hold adds what a worker found.
func (c *TopK) hold(run *scoring.CandidateRun) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held.Add(run)
}

func (st *topKHold[T]) End() error {
	for _, g := range st.groups {
		for _, c := range g.Of {
			if c.share > 0 && !c.settle() {
				continue
			}
			if c.held == nil {
				if c.quantile == nil {
					c.quantile = scoring.NewQuantile(c.k)
				}
				continue // too many
			}
			least, ties, ok := c.held.Find(c.k)
			if !ok {
				c.quantile = scoring.NewQuantile(c.k)
			} else if c.found(least, ties); c.some {
				c.numberHeld(st.Tiling.Count())
			}
			c.held = nil
		}
	}
	return nil
}

// found notes the least selected score.
func (c *TopK) found(least float32, ties scoring.Ties) {
	c.least, c.wanted, c.some = least, ties.Wanted, ties.Wanted < ties.Count
}

// numberHeld numbers the elements with the least selected score by what is held.
func (c *TopK) numberHeld(tiles int64) {
	ties := make([]int64, tiles+1)
	c.held.Equal(c.least, func(tile, n int64) { ties[tile+1] = n })
	c.numberAll(ties)
}

// numberAll takes the ties of each tile, which follow those before the first.
func (c *TopK) numberAll(ties []int64) {
	for i := range len(ties) - 1 {
		ties[i+1] += ties[i]
	}
	c.ties, c.numbered = ties, true
}

// topKCount is one pass of the searches by histogram.
type topKCount[T vec.Float] struct{ topKSearch[T] }

// Likely implements [Likely].
func (st *topKCount[T]) Likely() bool { return !st.holds() }

// Skip implements [Optional].
func (st *topKCount[T]) Skip() bool {
	for _, g := range st.groups {
		if len(g.searching()) > 0 {
			return false
		}
	}
	return true
}

func (st *topKCount[T]) Span(s *Scratch, sp *Span) error {
	for _, g := range st.groups {
		if open := g.searching(); len(open) > 0 {
			st.count(s, sp, g, open)
		}
	}
	return nil
}

func (st *topKCount[T]) count(s *Scratch, sp *Span, g Selections[T], open []*TopK) {
	counts := s.histograms(len(open))
	windows := make([]scoring.Window, len(open))
	for i, c := range open {
		windows[i] = c.quantile.Window(scoring.Identity)
	}
	addCounts := func(i int) {
		open[i].mu.Lock()
		open[i].quantile.Add(counts[i])
		open[i].mu.Unlock()
	}
	for t := range sp.Tiles {
		scores := g.Score(st.tile(s, sp, t))
		for i, c := range open {
			if counts[i].Full(t.Len()) {
				addCounts(i)
			}
			c.quantile.Count(counts[i], scores, windows[i])
		}
	}
	for i := range open {
		addCounts(i)
	}
}

func (st *topKCount[T]) End() error {
	for _, g := range st.groups {
		for _, c := range g.searching() {
			if !c.quantile.Next() {
				c.found(c.quantile.Value(), c.quantile.Ties())
				c.quantile = nil
			}
		}
	}
	return nil
}

// settle says how many elements are selected, once it is known how many scores are not 0, and reports
// whether they must be searched. The product is rounded to float32, as mergekit's is.
func (c *TopK) settle() (search bool) {
	varied := c.varied.Load()
	c.k = min(int64(float32(varied)*c.share), varied)
	if c.All() || c.None() {
		c.quantile, c.held = nil, nil
		return false
	}
	if c.quantile != nil {
		c.quantile.Rerank(c.k)
	}
	return true
}

// topKTies numbers the elements whose score is that of the last selected, where only some of them are.
type topKTies[T vec.Float] struct {
	topKSearch[T]
	order InOrder[[]int64]
}

// Likely implements [Likely].
func (st *topKTies[T]) Likely() bool { return !st.holds() }

// Skip implements [Optional].
func (st *topKTies[T]) Skip() bool { return len(st.partial()) == 0 }

// partial reports whether some of equal scores are selected, and it is not yet known which.
func (c *TopK) partial() bool { return c.some && !c.numbered }

// partial are the selections of which that is true.
func (st topKSearch[T]) partial() (of []*TopK) {
	for _, g := range st.groups {
		for _, c := range g.Of {
			if c.partial() {
				of = append(of, c)
			}
		}
	}
	return of
}

func (st *topKTies[T]) Span(s *Scratch, sp *Span) error {
	var tiles [][]int64
	for t := range sp.Tiles {
		in := st.tile(s, sp, t)
		var ties []int64
		for _, g := range st.groups {
			height := s.Mark()
			var scores []float32
			for _, c := range g.Of {
				if !c.partial() {
					continue
				}
				if scores == nil {
					scores = g.Score(in)
				}
				ties = append(ties, int64(countEqual(scores, c.least)))
			}
			s.Release(height)
		}
		tiles = append(tiles, ties)
	}
	st.order.Add(sp.First, tiles)
	return nil
}

// number takes the ties of the next tile.
func (st topKSearch[T]) number(ties []int64) {
	for i, c := range st.partial() {
		if c.ties == nil {
			c.ties = make([]int64, 1, st.Tiling.Count()+1)
		}
		c.ties = append(c.ties, c.ties[len(c.ties)-1]+ties[i])
	}
}

func (st *topKTies[T]) End() error { return nil }

// countEqual is how many scores have a value.
func countEqual(s []float32, v float32) int {
	atLeast := len(s)
	if v > 0 {
		atLeast = vec.CountAtLeast(s, v)
	}
	return atLeast - vec.CountAtLeast(s, NextUp(v))
}
