package fuse

import (
	"sync"

	"weld/internal/vec"
	"weld/scoring"
)

// Quantiles finds the k-th largest score of a tensor for several k in the same walks over it: two,
// of exact histograms. Scores are as for [TopK].
type Quantiles struct {
	Values []float32 // found, in the order of the ks

	mu       sync.Mutex
	searches []*scoring.Quantile // nil once through
	left     int
}

// NewQuantiles searches for the k-th largest scores.
func NewQuantiles(k ...int64) *Quantiles {
	r := &Quantiles{Values: make([]float32, len(k)), left: len(k)}
	for _, k := range k {
		r.searches = append(r.searches, scoring.NewQuantile(k))
	}
	return r
}

// QuantilesBytes bounds what searches for n ranks hold.
func QuantilesBytes(n int64) int64 { return n * scoring.QuantileBytes }

// QuantilesTiles is what a worker takes for searches for n ranks beside what any worker has, in tiles.
func QuantilesTiles(n int) int { return (n - 1) * (scoring.CountsBytes/(8*TileElements) + 1) }

// QuantileStages search; score computes a tile's scores.
func QuantileStages[T vec.Float](j *Fusion, r *Quantiles, reads Reads, score func(in Operands[T]) []float32) []Stage {
	count := func() Stage { return &quantilesCount[T]{Fusion: j, Quantiles: r, reads: reads, score: score} }
	return []Stage{count(), count()}
}

// quantilesCount is one pass of the searches.
type quantilesCount[T vec.Float] struct {
	*Fusion
	*Quantiles
	reads Reads
	score func(in Operands[T]) []float32
}

func (st *quantilesCount[T]) Reads() Reads { return st.reads }

// Skip implements [Optional].
func (st *quantilesCount[T]) Skip() bool { return st.left == 0 }

func (st *quantilesCount[T]) Span(s *Scratch, sp *Span) error {
	counts := s.histograms(len(st.searches))
	for t := range sp.Tiles {
		s.Reset()
		scores := st.score(Operands[T]{st.Fusion, s, sp, t})
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
			st.Values[i], st.searches[i] = q.Value(), nil
			st.left--
		}
	}
	return nil
}
