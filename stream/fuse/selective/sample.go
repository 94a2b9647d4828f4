package selective

import (
	"iter"

	"weld/internal/vec"
	"weld/scoring"
	"weld/stream/fuse"
)

// samplingPass takes a sample of every tensor's scores and narrows by it where the thresholds are
// searched, and what is counted of each tensor before its divisor is known. An early pass follows, if there is to be one and the sample
// says that it leaves little.
func (m *merge) samplingPass(early bool) *fuse.Pass {
	return &fuse.Pass{
		Name:  "sample",
		Reads: m.rawReads(),
		Chain: func(job int) []fuse.Stage {
			x := &m.tensors[job]
			if x.job.Wide {
				return newSampleStage[float64](x, early)
			}
			return newSampleStage[float32](x, early)
		},
		End: func() error {
			brackets := make([]scoring.Bracket, len(m.ranking))
			if early {
				if m.early = m.leavesLittle(brackets); !m.early {
					m.findFirst()
				}
			} else {
				for t := range m.open() {
					brackets[t] = m.estimate(t, scoring.SampleSigma).Bracket
					m.ranking[t].quantile.Narrow(brackets[t])
				}
			}
			m.forgetSample(brackets, !early)
			return nil
		},
	}
}

// open yields the models whose thresholds are looked for.
func (m *merge) open() iter.Seq[int] {
	return func(yield func(int) bool) {
		for t, r := range m.ranking {
			if r.quantile != nil && !yield(t) {
				return
			}
		}
	}
}

// leavesLittle finds the brackets of an early pass. It reports whether few elements lie inside, above 0, and each value there can be counted apart.
func (m *merge) leavesLittle(brackets []scoring.Bracket) bool {
	left := 0.0
	for t := range m.open() {
		e, r := m.estimate(t, earlySigma), m.ranking[t]
		brackets[t] = e.Bracket
		r.bracket, r.guess = e.Bracket, e.Value
		r.quantile.Narrow(e.Bracket)
		if !r.quantile.Apart() || e.Low <= 0 {
			return false
		}
		left += e.Inside
	}
	return left <= leftShare
}

// estimate is where one model's threshold lies by the sample.
func (m *merge) estimate(model int, sigma float64) scoring.Estimate {
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
	return m.Normalization.Estimate(sketches, scales, r.quantile.Rank(), r.elements, sigma)
}

// forgetSample lets go of the sample. Where the scores are to be counted before anything is fused, each tensor has from it what is counted
// while they are summed up.
func (m *merge) forgetSample(brackets []scoring.Bracket, counts bool) {
	for i := range m.tensors {
		for t := range m.tensors[i].models {
			k := &m.tensors[i].models[t]
			if counts && !k.known && k.sketch != nil && m.tables(i) {
				k.table = m.Normalization.NewRawHistogram(k.sketch, brackets[t], m.TableBytes/int64(len(m.Models)))
			}
			k.sketch = nil
		}
	}
}

// sampleStage notes some scores of each model.
type sampleStage[T vec.Float] struct {
	*scoredTensor
	tiling fuse.Tiling
}

func newSampleStage[T vec.Float](x *scoredTensor, pages bool) []fuse.Stage {
	st := &sampleStage[T]{scoredTensor: x}
	for m := range x.models {
		if k := &x.models[m]; k.role == ranked && x.ranking[m].quantile != nil && x.job.Tiling.Elements() > 0 {
			size := int64(scoring.BlockElements)
			if pages {
				k.sketch, size = scoring.NewPageSketch(x.job.Tiling.Elements(), x.total), scoring.PageElements
			} else {
				k.sketch = scoring.NewSketch(x.job.Tiling.Elements(), x.total, k.known)
			}
			st.tiling = x.job.Tiling.Sparse(k.sketch.Blocks(), size)
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
