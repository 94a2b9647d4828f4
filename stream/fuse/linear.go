package fuse

import (
	"sync/atomic"

	"weld/format"
	"weld/internal/vec"
)

// Linear is Σ wₜθₜ, divided by Σ wₜ if Normalize: a weighted average ("model
// soups", arXiv 2203.05482). With Deltas it is task arithmetic (arXiv 2212.04089):
// θ₀ + λ·Σ wₜδₜ, the sum divided by Σ wₜ if Normalize.
type Linear struct {
	Weights   []float64
	Normalize bool
	Deltas    bool
	Lambda    float64
	Nonfinite Nonfinite
}

// negligible is the sum of weights below which task arithmetic does not divide.
const negligible = 1e-8

// Method prepares the merge of the given jobs.
func (l Linear) Method(jobs []Job) Method {
	return &linear{Linear: l, jobs: jobs, odd: make([]atomic.Int64, len(jobs))}
}

type linear struct {
	Linear
	jobs []Job
	odd  []atomic.Int64
}

func (l *linear) Next() *Pass   { return nil }
func (l *linear) Expected() int { return 0 }
func (l *linear) Reads() Reads {
	return Reads{Base: l.Deltas || l.Nonfinite == BaseNonfinite, Models: true}
}

func (l *linear) Fuse(job int) []Stage {
	j := &l.jobs[job]
	if j.Wide {
		return []Stage{&linearStage[float64]{linear: l, job: job, finisher: finisher{j, l.Nonfinite}}}
	}
	return []Stage{&linearStage[float32]{linear: l, job: job, finisher: finisher{j, l.Nonfinite}}}
}

func (l *linear) Results() []Result {
	results := make([]Result, len(l.jobs))
	for i := range results {
		results[i].Nonfinite = l.odd[i].Load()
	}
	return results
}

func (l *linear) Cost() Cost {
	return Cost{Scratch: 4 * TileElements * 8, Job: func(int) int64 { return 0 }}
}

// divisor is Σ wₜ, or 1 where nothing is to be divided by.
func (l Linear) divisor() float64 {
	if !l.Normalize {
		return 1
	}
	var sum float64
	for _, w := range l.Weights {
		sum += w
	}
	if l.Deltas && sum < negligible && sum > -negligible {
		return 1
	}
	return sum
}

type linearStage[T vec.Float] struct {
	*linear
	job int
	finisher
}

func (st *linearStage[T]) End() error { return nil }

func (st *linearStage[T]) Span(s *Scratch, sp *Span) error {
	divisor := T(st.divisor())
	for t := range sp.Tiles {
		s.reset()
		acc, theta := take[T](s, t.Len()), take[T](s, t.Len())
		var base []T
		if st.Deltas {
			base = take[T](s, t.Len())
			format.Decode(sp.Base.DType, base, sp.Base.tile(t))
			vec.Fill(acc, 0)
		}
		for m, o := range sp.Models {
			w := T(st.Weights[m])
			switch {
			case st.Deltas:
				format.AxpyDelta(o.DType, acc, w, o.tile(t), base, theta)
			case m == 0:
				format.Scale(o.DType, acc, o.tile(t), w)
			default:
				format.Axpy(o.DType, acc, w, o.tile(t), theta)
			}
		}
		if divisor != 1 {
			vec.Div(acc, acc, divisor)
		}
		if st.Deltas {
			vec.Apply(acc, base, T(st.Lambda), acc)
		}
		odd, err := encode(st.finisher, sp, t, acc)
		if err != nil {
			return err
		}
		st.odd[st.job].Add(odd)
	}
	return nil
}
