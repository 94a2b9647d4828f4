package selective

import (
	"weld/internal/vec"
	"weld/scoring"
	"weld/stream/fuse"
)

// measurement names a measuring stage of a tensor.
type measurement int

const (
	summarize measurement = iota // sums and extremes of the raw scores
	sumRows                      // mean raw scores of rows longer than a tile
	count                        // histograms of the ranked scores
	l1Norms                      // Σ|δ| before and after the mask
	tally                        // kept elements
)

// newStage makes a measuring stage in the type that the tensor is combined in.
func newStage(x *scoredTensor, what measurement) fuse.Stage {
	if x.job.Wide {
		return measuring[float64](x, what)
	}
	return measuring[float32](x, what)
}

func measuring[T vec.Float](x *scoredTensor, what measurement) fuse.Stage {
	switch what {
	case summarize:
		return newSummaryStage[T](x)
	case sumRows:
		return newRowStage[T](x)
	case count:
		return &countStage[T]{x}
	case l1Norms:
		return newL1Stage[T](x)
	default:
		return &tallyStage[T]{x}
	}
}

// summaryStage measures what the normalisation needs, and counts scores along the way
// where a table says which.
type summaryStage[T vec.Float] struct {
	*scoredTensor
	totals []scoring.Aggregate
	order  []fuse.InOrder[scoring.Aggregate]
}

func newSummaryStage[T vec.Float](x *scoredTensor) fuse.Stage {
	n := len(x.models)
	st := &summaryStage[T]{scoredTensor: x, totals: make([]scoring.Aggregate, n), order: make([]fuse.InOrder[scoring.Aggregate], n)}
	for m := range st.order {
		st.order[m].Fold = st.totals[m].Add
		if t := x.models[m].table; t != nil {
			t.Open()
		}
	}
	return st
}

func (st *summaryStage[T]) Reads() fuse.Reads { return st.rawReads() }

func (st *summaryStage[T]) Span(s *fuse.Scratch, sp *fuse.Span) error {
	for m := range st.models {
		k := &st.models[m]
		if k.role != ranked {
			continue
		}
		counts := s.Histogram()
		addCounts := func() {
			k.ranking.mu.Lock()
			k.table.Add(counts)
			k.ranking.mu.Unlock()
		}
		tiles := make([]scoring.Aggregate, 0, sp.Last-sp.First)
		for t := range sp.Tiles {
			s.Reset()
			scores, _ := rawScores(st.scoredTensor, s, sp, t, m, loadFor[T](st.scoredTensor, s, sp, t, m))
			tiles = append(tiles, st.Normalization.Summarize(scores))
			if k.table == nil {
				continue
			}
			if counts.Full(t.Len()) {
				addCounts()
			}
			k.table.Count(counts, scores)
		}
		st.order[m].Add(sp.First, tiles)
		if k.table != nil {
			addCounts()
		}
	}
	return nil
}

func (st *summaryStage[T]) End() error {
	for m := range st.models {
		k := &st.models[m]
		if k.role != ranked {
			continue
		}
		k.scale, k.known = st.Normalization.Scale(st.totals[m]), true
		k.mean = st.totals[m].Mean()
		if k.table == nil {
			continue
		}
		k.ranking.mu.Lock()
		if k.table.Settle(k.ranking.quantile, k.scale) {
			k.waiting = false
			st.settled.Add(1)
		}
		k.ranking.mu.Unlock()
		k.table = nil
	}
	return nil
}

// rowStage measures the mean raw score of each row, where a row takes several tiles.
type rowStage[T vec.Float] struct {
	*scoredTensor
	row   []scoring.Aggregate // the row being summed, for each model
	order []fuse.InOrder[scoring.Aggregate]
}

func newRowStage[T vec.Float](x *scoredTensor) fuse.Stage {
	st := &rowStage[T]{scoredTensor: x, row: make([]scoring.Aggregate, len(x.models)), order: make([]fuse.InOrder[scoring.Aggregate], len(x.models))}
	for m := range x.models {
		k := &x.models[m]
		k.rows = make([]float32, 0, x.job.Tiling.Rows())
		st.order[m].Fold = func(tile scoring.Aggregate) {
			st.row[m].Add(tile)
			if st.row[m].N == x.job.Tiling.RowLen() {
				k.rows = append(k.rows, st.row[m].Mean())
				st.row[m] = scoring.Aggregate{}
			}
		}
	}
	return st
}

func (st *rowStage[T]) Reads() fuse.Reads { return st.rawReads() }
func (st *rowStage[T]) End() error        { return nil }

func (st *rowStage[T]) Span(s *fuse.Scratch, sp *fuse.Span) error {
	for m := range st.models {
		if st.models[m].role != ranked {
			continue
		}
		tiles := make([]scoring.Aggregate, 0, sp.Last-sp.First)
		for t := range sp.Tiles {
			s.Reset()
			scores, _ := rawScores(st.scoredTensor, s, sp, t, m, loadFor[T](st.scoredTensor, s, sp, t, m))
			tiles = append(tiles, scoring.Raw.Summarize(scores))
		}
		st.order[m].Add(sp.First, tiles)
	}
	return nil
}

// countStage shows the scores to the quantiles that are still searched.
type countStage[T vec.Float] struct{ *scoredTensor }

// counts reports whether a model's scores have to be counted.
func (k *masking) counts() bool {
	return k.role == ranked && k.ranking.quantile != nil && k.waiting
}

// Skip implements [fuse.Optional].
func (st *countStage[T]) Skip() bool {
	for m := range st.models {
		if st.models[m].counts() {
			return false
		}
	}
	return true
}

// Likely implements [fuse.Likely]: scores of most tensors are counted while they are summed up.
func (st *countStage[T]) Likely() bool { return st.Scope != scoring.WholeModel || !st.mostlyTabled() }

func (st *countStage[T]) Reads() fuse.Reads { return st.scoreReads() }

func (st *countStage[T]) Span(s *fuse.Scratch, sp *fuse.Span) error {
	for m := range st.models {
		k := &st.models[m]
		q := k.ranking.quantile
		if !k.counts() {
			continue
		}
		counts := s.Histogram()
		addCounts := func() {
			k.ranking.mu.Lock()
			q.Add(counts)
			k.ranking.mu.Unlock()
		}
		window := q.Window(st.rankScale(m))
		for t := range sp.Tiles {
			s.Reset()
			if counts.Full(t.Len()) {
				addCounts()
			}
			rank, _ := modelRanks[T](st.scoredTensor, s, sp, t, m)
			q.Count(counts, rank, window)
		}
		addCounts()
	}
	return nil
}

func (st *countStage[T]) End() error {
	if st.Scope == scoring.PerTensor {
		for m := range st.models {
			st.models[m].ranking.advance()
		}
	} else {
		st.forget()
	}
	return nil
}

// tallyStage counts what the thresholds keep, and the scores that are not finite.
type tallyStage[T vec.Float] struct{ *scoredTensor }

func (st *tallyStage[T]) Reads() fuse.Reads { return st.scoreReads() }
func (st *tallyStage[T]) End() error        { st.forget(); return nil }

func (st *tallyStage[T]) Span(s *fuse.Scratch, sp *fuse.Span) error {
	for m := range st.models {
		k := &st.models[m]
		threshold := k.ranking.threshold.Raw(st.rankScale(m))
		var kept int64
		for t := range sp.Tiles {
			s.Reset()
			switch {
			case k.role == dropped:
			case k.role == whole, k.ranking.threshold.All, st.Combine == ByCurvature && st.takenWhole(m):
				kept += int64(t.Len())
			default:
				rank, bad := modelRanks[T](st.scoredTensor, s, sp, t, m)
				kept += int64(threshold.Kept(rank))
				st.nonfinite.Add(int64(bad.count))
			}
		}
		k.kept.Add(kept)
	}
	return nil
}

// l1Stage measures how much of a task vector's L1 norm the mask leaves.
type l1Stage[T vec.Float] struct {
	*scoredTensor
	norms []fuse.L1
	order []fuse.InOrder[fuse.L1]
}

func newL1Stage[T vec.Float](x *scoredTensor) fuse.Stage {
	st := &l1Stage[T]{scoredTensor: x, norms: make([]fuse.L1, len(x.models)), order: make([]fuse.InOrder[fuse.L1], len(x.models))}
	for m := range st.order {
		st.order[m].Fold = func(p fuse.L1) {
			st.norms[m].Before += p.Before
			st.norms[m].After += p.After
		}
	}
	return st
}

func (st *l1Stage[T]) Reads() fuse.Reads { return st.fuseReads() }

func (st *l1Stage[T]) Span(s *fuse.Scratch, sp *fuse.Span) error {
	for m := range st.models {
		if st.models[m].role != ranked {
			continue
		}
		threshold := st.models[m].ranking.threshold.Raw(st.rankScale(m))
		tiles := make([]fuse.L1, 0, sp.Last-sp.First)
		for t := range sp.Tiles {
			s.Reset()
			v := loadModel(s, sp, t, m, fuse.DecodeBase[T](s, sp, t))
			p := fuse.L1{Before: vec.SumAbs(v.delta)}
			if _, _, err := maskDelta(st.scoredTensor, s, sp, t, m, v, threshold, nil); err != nil {
				return err
			}
			p.After = vec.SumAbs(v.delta)
			tiles = append(tiles, p)
		}
		st.order[m].Add(sp.First, tiles)
	}
	return nil
}

func (st *l1Stage[T]) End() error {
	for m, p := range st.norms {
		if factor, ok := p.Factor(); ok {
			st.models[m].ratio = factor
		}
	}
	return nil
}
