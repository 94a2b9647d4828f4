package fuse

import (
	"sync"

	"weld/internal/vec"
	"weld/scoring"
)

// quantiles finds the k-th largest score of a tensor for several k in the same walks over it: two,
// of exact histograms. Scores are as for [topK].
type quantiles struct {
	values []float32 // found, in the order of the ks

	mu       sync.Mutex
	searches []*scoring.Quantile // nil once through
	left     int
}

func newQuantiles(k ...int64) *quantiles {
	r := &quantiles{values: make([]float32, len(k)), left: len(k)}
	for _, k := range k {
		r.searches = append(r.searches, scoring.NewQuantile(k))
	}
	return r
}

// quantilesBytes bounds what searches for n ranks hold, and quantilesTiles what a worker does beside
// what any worker has, in tiles.
func quantilesBytes(n int64) int64 { return n * scoring.QuantileBytes }
func quantilesTiles(n int) int     { return (n - 1) * (scoring.CountsBytes/(8*TileElements) + 1) }

// quantileStages search; score computes a tile's scores.
func quantileStages[T vec.Float](j *job, r *quantiles, reads Reads, score func(in input[T]) []float32) []Stage {
	count := func() Stage { return &quantilesCount[T]{job: j, quantiles: r, reads: reads, score: score} }
	return []Stage{count(), count()}
}

// quantilesCount is one pass of the searches.
type quantilesCount[T vec.Float] struct {
	*job
	*quantiles
	reads Reads
	score func(in input[T]) []float32
}

func (st *quantilesCount[T]) Reads() Reads { return st.reads }

// Idle implements [Optional].
func (st *quantilesCount[T]) Idle() bool { return st.left == 0 }

func (st *quantilesCount[T]) Span(s *Scratch, sp *Span) error {
	counts := s.histograms(len(st.searches))
	for t := range sp.Tiles {
		s.reset()
		scores := st.score(input[T]{st.job, s, sp, t})
		for i, q := range st.searches {
			if q != nil { // and never narrowed, so that counts are never full
				q.Count(counts[i], scores, q.Window(scoring.Identity))
			}
		}
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	for i, q := range st.searches {
		if q != nil {
			q.Add(counts[i])
		}
	}
	return nil
}

func (st *quantilesCount[T]) End() error {
	for i, q := range st.searches {
		if q != nil && !q.Next() {
			st.values[i], st.searches[i] = q.Value(), nil
			st.left--
		}
	}
	return nil
}
