package fuse

import (
	"sync"

	"weld/internal/vec"
	"weld/scoring"
)

// topKWhole is the pass that holds all scores of a tensor that is small enough.
type topKWhole[T vec.Float] struct {
	topKSearch[T]
	scores [][]float32 // of each group
}

func newTopKWhole[T vec.Float](search topKSearch[T]) *topKWhole[T] {
	st := &topKWhole[T]{topKSearch: search}
	for range search.groups {
		st.scores = append(st.scores, search.pooled.take(search.Tiling.Elements()))
	}
	return st
}

func (st *topKWhole[T]) Span(s *Scratch, sp *Span) error {
	for t := range sp.Tiles {
		in := st.tile(s, sp, t)
		for g, group := range st.groups {
			height := s.Mark()
			copy(st.scores[g][t.Lo:t.Hi], group.Score(in))
			s.Release(height)
		}
	}
	return nil
}

func (st *topKWhole[T]) End() error {
	for g, group := range st.groups {
		scores := st.scores[g]
		for _, c := range group.Of {
			if c.share > 0 {
				if c.varied.Store(int64(vec.CountAtLeast(scores, leastScore))); !c.settle() {
					continue
				}
			}
			if c.found(st.pooled.find(scores, c.k)); c.some {
				c.numberWhole(st.Tiling, scores)
			}
		}
		st.pooled.give(scores)
	}
	return nil
}

// numberWhole numbers the elements with the least selected score.
func (c *TopK) numberWhole(tiling Tiling, scores []float32) {
	ties := make([]int64, tiling.Count()+1)
	for i := range tiling.Count() {
		lo, hi := tiling.Range(i)
		ties[i+1] = int64(countEqual(scores[lo:hi], c.least))
	}
	c.numberAll(ties)
}

// scorePool are scores of whole tensors that are no longer needed, for others, and what searched them.
type scorePool struct{ pool, finders sync.Pool }

// find is [scoring.Find].
func (s *scorePool) find(scores []float32, k int64) (float32, scoring.Ties) {
	f, ok := s.finders.Get().(*scoring.KthFinder)
	if !ok {
		f = new(scoring.KthFinder)
	}
	defer s.finders.Put(f)
	return f.Find(scores, k)
}

// take lends n scores, whatever they are.
func (s *scorePool) take(n int64) []float32 {
	if x, ok := s.pool.Get().(*[]float32); ok && int64(cap(*x)) >= n {
		return (*x)[:n]
	}
	return make([]float32, n)
}

func (s *scorePool) give(scores []float32) { s.pool.Put(&scores) }
