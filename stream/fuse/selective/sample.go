package selective

import (
	"weld/internal/vec"
	"weld/scoring"
	"weld/stream/fuse"
)

// samplingPass takes a sample of every tensor's scores and narrows by it where the thresholds are
// searched, and what is counted of each tensor before its divisor is known.
func (m *merge) samplingPass() *fuse.Pass {
	return &fuse.Pass{
		Name:  "sample",
		Reads: m.rawReads(),
		Chain: func(job int) []fuse.Stage {
			x := &m.tensors[job]
			if x.job.Wide {
				return newSampleStage[float64](x)
			}
			return newSampleStage[float32](x)
		},
		End: func() error {
			for t, r := range m.ranking {
				if r.quantile != nil {
					m.bracket(t)
				}
			}
			return nil
		},
	}
}

// bracket narrows the search for one model's threshold.
func (m *merge) bracket(model int) {
	r := m.ranking[model]
	sketches := make([]*scoring.Sketch, len(m.tensors))
	scales := make([]*scoring.Scale, len(m.tensors))
	for i := range m.tensors {
		k := &m.tensors[i].models[model]
		sketches[i] = k.sketch
		if k.known {
			scales[i] = &k.scale
		}
	}
	b := m.Normalization.Bracket(sketches, scales, r.quantile.Rank(), r.elements)
	r.quantile.Narrow(b)
	for i := range m.tensors {
		k := &m.tensors[i].models[model]
		if !k.known && k.sketch != nil && m.tables(i) {
			k.table = m.Normalization.NewRawHistogram(k.sketch, b, m.TableBytes/int64(len(m.Models)))
		}
		k.sketch = nil
	}
}

// sampleStage notes some scores of each model.
type sampleStage[T vec.Float] struct {
	*scoredTensor
	tiling fuse.Tiling
}

func newSampleStage[T vec.Float](x *scoredTensor) []fuse.Stage {
	st := &sampleStage[T]{scoredTensor: x}
	for m := range x.models {
		if k := &x.models[m]; k.role == ranked && x.ranking[m].quantile != nil && x.job.Tiling.Elements() > 0 {
			k.sketch = scoring.NewSketch(x.job.Tiling.Elements(), x.total, k.known)
			st.tiling = x.job.Tiling.Sparse(k.sketch.Blocks(), scoring.BlockElements)
		}
	}
	if !st.tiling.IsSparse() {
		return nil
	}
	return []fuse.Stage{st}
}

// Tiling implements [fuse.Sampling].
func (st *sampleStage[T]) Tiling() fuse.Tiling { return st.tiling }

func (st *sampleStage[T]) Reads() fuse.Reads { return st.rawReads() }
func (st *sampleStage[T]) End() error        { return nil }

func (st *sampleStage[T]) Span(s *fuse.Scratch, sp *fuse.Span) error {
	for m := range st.models {
		sketch := st.models[m].sketch
		if sketch == nil {
			continue
		}
		for t := range sp.Tiles {
			s.Reset()
			scores, _ := rawScores(st.scoredTensor, s, sp, t, m, loadFor[T](st.scoredTensor, s, sp, t, m))
			st.Normalization.Put(sketch, t.Index, scores)
		}
	}
	return nil
}
