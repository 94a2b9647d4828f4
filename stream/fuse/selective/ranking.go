package selective

import (
	"sync"

	"weld/scoring"
)

// ranking finds one threshold; a stage adds to it from several goroutines.
type ranking struct {
	elements  int64
	threshold scoring.Threshold
	mu        sync.Mutex
	quantile  *scoring.Quantile // nil where the threshold is known
	bracket   scoring.Bracket   // that an early pass leaves the elements of
	guess     float32           // by which it fuses them
}

// elements counts what is ranked for a model.
func (m *merge) elements(model int) (n int64) {
	for i := range m.tensors {
		if m.tensors[i].models[model].role == ranked {
			n += m.jobs[i].Tiling.Elements()
		}
	}
	return n
}

// newRanking starts the search for a model's threshold among n elements, or knows it.
func (m *merge) newRanking(model int, n int64) *ranking {
	o := m.Models[model]
	r := &ranking{elements: n}
	switch k := scoring.Rank(o.Density, n); {
	case o.Fixed:
		r.threshold = scoring.Threshold{T: o.Threshold}
	case o.Density >= 1:
		r.threshold = scoring.KeepAll
	case k == 0:
		r.threshold = scoring.KeepNone
	default:
		r.quantile = scoring.NewQuantile(k)
	}
	return r
}

// samples reports whether a sample is to narrow the search for a model's threshold: the search
// is over the whole model, and that is large enough; and its scores are not made of sums over matrices, which a
// sample has not.
func (m *merge) samples(model int) bool {
	r := m.ranking[model]
	return m.Scope == scoring.WholeModel && m.comparesRaw() && !m.RankOne && r.quantile != nil && r.elements >= m.sampled
}

// advance ends a counting pass; it reports whether the scores must be seen again.
func (r *ranking) advance() bool {
	if r.quantile == nil {
		return false
	}
	if r.quantile.Next() {
		return true
	}
	r.threshold = scoring.Threshold{T: r.quantile.Value()}
	r.quantile = nil
	return false
}
