package fuse

import (
	"sync"
	"sync/atomic"

	"weld/scoring"
)

// Formula is a method that merges each tensor by itself: what its stages are, and what they take. It has
// no passes over the model, and measures a tensor, if it has to, in stages before it is fused.
type Formula struct {
	Single func(*Fusion) []Stage // of a tensor that is merged in float32
	Double func(*Fusion) []Stage // in float64
	Reads  Reads                 // of the last stage, at most
	Tiles  func(models int) int  // of scratch that a stage takes at most
	State  func(*Job) int64      // bytes that a tensor's stages hold; nil for next to nothing
	Rows   func(*Job) int64      // bytes that a worker holds of a tensor's rows beside its scratch; nil for none
}

// Method prepares a merge by the formula.
func (f Formula) Method(jobs Jobs, nonfinite Nonfinite) Method {
	return &tensorwise{Formula: f, jobs: jobs, policy: nonfinite, nonfinite: make([]atomic.Int64, jobs.Len())}
}

// tensorwise is a merge in progress.
type tensorwise struct {
	Formula
	jobs      Jobs
	policy    Nonfinite
	nonfinite []atomic.Int64 // results of each job
	pooled    scorePool
	survey    sync.Once
	models    int   // of a job at most
	rowBytes  int64 // likewise
}

func (l *tensorwise) Next() *Pass   { return nil }
func (l *tensorwise) Expected() int { return 0 }

func (l *tensorwise) Reads() Reads {
	r := l.Formula.Reads
	r.Base = r.Base || l.policy == BaseNonfinite
	return r
}

func (l *tensorwise) Fuse(i int) []Stage {
	described := l.jobs.Job(i)
	f := &Fusion{Job: &described, finisher: Finisher{&described, l.policy}, reads: l.Reads(), nonfinite: &l.nonfinite[i], pooled: &l.pooled}
	for m, c := range described.Models {
		if !c.Absent {
			f.Present = append(f.Present, m)
		}
	}
	if described.Wide {
		return l.Double(f)
	}
	return l.Single(f)
}

func (l *tensorwise) Results() []Result {
	results := make([]Result, len(l.nonfinite))
	for i := range results {
		results[i].Nonfinite = l.nonfinite[i].Load()
	}
	return results
}

func (l *tensorwise) Cost() Cost {
	l.survey.Do(l.look)
	return Cost{
		Scratch: int64(l.Tiles(l.models))*TileElements*8 + scoring.CountsBytes + l.rowBytes,
		Job: func(i int) int64 {
			n := int64(1 << 10)
			if l.State != nil {
				j := l.jobs.Job(i)
				n += l.State(&j)
			}
			return n
		},
	}
}

// look finds out what the largest job takes.
func (l *tensorwise) look() {
	var j Job // one piece of memory, since its address leaves
	for i := range l.jobs.Len() {
		j = l.jobs.Job(i)
		l.models = max(l.models, len(j.Models))
		if l.Rows != nil {
			l.rowBytes = max(l.rowBytes, l.Rows(&j))
		}
	}
}

// Fusion is one tensor while a [Formula] merges it.
type Fusion struct {
	*Job
	Present   []int // the models that have the tensor, by their indexes in the recipe
	finisher  Finisher
	reads     Reads // of the stage that [Produce] makes
	nonfinite *atomic.Int64
	pooled    *scorePool
}

// Count is how many models have the tensor.
func (f *Fusion) Count() int { return len(f.Present) }

// Nonfinite says what happens to results that are not finite.
func (f *Fusion) Nonfinite() Nonfinite { return f.finisher.Policy }

// Blame names whose value at element i of a tile is not finite, if one is.
func (f *Fusion) Blame(sp *Span, t Tile, i int, value float64) *NonfiniteError {
	return f.finisher.blame(sp, t, i, value)
}

// Narrow sees to it that the last stage reads no base that it does not need.
func (f *Fusion) Narrow(base bool) {
	f.reads = Reads{Base: base || f.finisher.Policy == BaseNonfinite, Models: true}
}
