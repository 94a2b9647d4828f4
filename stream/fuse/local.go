package fuse

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"weld/format"
	"weld/internal/vec"
	"weld/scoring"
)

// Params are the values of a method's parameters by key; a truth value is 0 or 1.
type Params map[string]float64

// Number returns a parameter.
func (p Params) Number(key string) float64 { return p[key] }

// Bool returns a truth value.
func (p Params) Bool(key string) bool { return p[key] != 0 }

// formula is a method that merges each tensor by itself: what its stages are, and what
// they take.
type formula struct {
	single func(*job) []Stage // in float32
	double func(*job) []Stage // in float64
	reads  Reads
	tiles  func(models int) int     // of scratch that a stage takes at most
	state  func(j *Job) int64       // bytes that a tensor's stages hold; nil for next to nothing
	rows   func(j *Job) int64       // bytes that a worker holds of a tensor's rows beside its scratch; nil for none
	lone   func(j *Job) (int, bool) // the one source of a tensor whose bytes are taken as they are, if that is so
}

// formulas are the methods that [Local] knows, by name. Each has a file of its own.
var formulas = map[string]formula{}

// LocalNames lists what [Local] knows.
func LocalNames() []string {
	var names []string
	for name := range formulas {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Local prepares a merge by a method that needs nothing but the tensor at hand: it has no
// passes over the model, and measures a tensor, if it has to, in stages before it is fused.
func Local(name string, jobs Jobs, nonfinite Nonfinite) Method {
	f, ok := formulas[name]
	if !ok {
		panic(fmt.Sprintf("fuse: no method %q", name))
	}
	return &local{formula: f, jobs: jobs, nonfinite: nonfinite, odd: make([]atomic.Int64, jobs.Len())}
}

type local struct {
	formula
	jobs      Jobs
	nonfinite Nonfinite
	odd       []atomic.Int64
	spare     spareScores
	survey    sync.Once
	models    int   // of a job at most
	rowBytes  int64 // likewise
}

func (l *local) Next() *Pass   { return nil }
func (l *local) Expected() int { return 0 }

func (l *local) Reads() Reads {
	r := l.reads
	r.Base = r.Base || l.nonfinite == BaseNonfinite
	return r
}

func (l *local) Fuse(i int) []Stage {
	described := l.jobs.Job(i)
	j := &job{Job: &described, finisher: finisher{&described, l.nonfinite}, reads: l.Reads(), odd: &l.odd[i], spare: &l.spare}
	for m, c := range described.Models {
		if !c.Absent {
			j.sources = append(j.sources, m)
		}
	}
	if described.Wide {
		return l.double(j)
	}
	return l.single(j)
}

func (l *local) Results() []Result {
	results := make([]Result, len(l.odd))
	for i := range results {
		results[i].Nonfinite = l.odd[i].Load()
	}
	return results
}

func (l *local) Cost() Cost {
	l.survey.Do(l.look)
	return Cost{
		Scratch: int64(l.tiles(l.models))*TileElements*8 + scoring.CountsBytes + l.rowBytes,
		Job: func(i int) int64 {
			n := int64(1 << 10)
			if l.state != nil {
				j := l.jobs.Job(i)
				n += l.state(&j)
			}
			return n
		},
	}
}

// look finds out what the largest job takes.
func (l *local) look() {
	for i := range l.jobs.Len() {
		j := l.jobs.Job(i)
		l.models = max(l.models, len(j.Models))
		if l.rows != nil {
			l.rowBytes = max(l.rowBytes, l.rows(&j))
		}
	}
}

// job is one tensor while a formula merges it.
type job struct {
	*Job
	finisher finisher
	reads    Reads
	sources  []int // models that have the tensor
	odd      *atomic.Int64
	spare    *spareScores
}

// models is how many models have the tensor.
func (j *job) models() int { return len(j.sources) }

// shared is a parameter that holds for all models.
func (j *job) shared(key string) float64 { return j.Job.Params.Number(key) }

// own is a parameter of the k-th model that has the tensor.
func (j *job) own(k int, key string) float64 { return j.Job.Models[j.sources[k]].Params.Number(key) }

// weights are the models' weights.
func (j *job) weights() []float64 {
	w := make([]float64, j.models())
	for k := range w {
		w[k] = j.own(k, "weight")
	}
	return w
}

// input is what a stage sees of one tile. What it decodes lies in the worker's scratch
// until the next tile.
type input[T vec.Float] struct {
	*job
	s    *Scratch
	span *Span
	Tile
}

// room lends a tile of memory, with whatever it held before.
func (in input[T]) room() []T { return take[T](in.s, in.Len()) }

// base decodes θ₀.
func (in input[T]) base() []T { return loadBase[T](in.s, in.span, in.Tile) }

// operand is the k-th model's bytes.
func (in input[T]) operand(k int) (format.DType, []byte) {
	o := in.span.Models[in.sources[k]]
	return o.DType, o.tile(in.Tile)
}

// part is the bytes of the k-th model's elements [lo, hi) of the tile.
func (in input[T]) part(k, lo, hi int) (format.DType, []byte) {
	d, data := in.operand(k)
	size := d.Bits() / 8
	return d, data[lo*size : hi*size]
}

// combine fills out with Σ wₖθₖ, of the tile's elements from lo on.
func (in input[T]) combine(out, w []T, lo int) {
	height := in.s.mark()
	room := in.room()[:len(out)]
	for k, x := range w {
		d, data := in.part(k, lo, lo+len(out))
		if k == 0 {
			format.Scale(d, out, data, x)
		} else {
			format.Axpy(d, out, x, data, room)
		}
	}
	in.s.release(height)
}

// theta decodes θ of the k-th model that has the tensor.
func (in input[T]) theta(k int) []T {
	x := in.room()
	d, data := in.operand(k)
	format.Decode(d, x, data)
	return x
}

// delta is θ − θ₀ of the k-th model; 0 where both have the same bits.
func (in input[T]) delta(k int, base []T) []T {
	x := in.room()
	d, data := in.operand(k)
	format.Delta(d, x, data, base)
	return x
}

// distance fills dst with |θ − θ₀| of the k-th model in float32. What is not finite counts as the
// largest finite number.
func (in input[T]) distance(dst []float32, k int) {
	if _, wide := any(T(0)).(float64); wide {
		vec.Abs(dst, single(in.s, in.delta(k, in.base())))
		clampScores(dst)
		return
	}
	d, data := in.operand(k)
	format.Distance(dst, d, data, in.span.Base.DType, in.span.Base.tile(in.Tile), take[float32](in.s, len(dst)))
}

// deltas are all models' task vectors.
func (in input[T]) deltas(base []T) [][]T {
	d := make([][]T, in.models())
	for k := range d {
		d[k] = in.delta(k, base)
	}
	return d
}

// importance decodes a of the k-th model.
func (in input[T]) importance(k int) []T {
	x := in.room()
	o := in.span.Importance[in.sources[k]]
	format.Decode(o.DType, x, o.tile(in.Tile))
	return x
}

// measure is a stage that takes figures of every tile and folds them in the order of the
// tiles, so that sums do not depend on how spans were cut. end is called when all are folded;
// it may be nil.
func measure[T vec.Float, F any](j *job, reads Reads, tile func(in input[T]) F, fold func(F), end func() error) Stage {
	return &measureStage[T, F]{job: j, reads: reads, tile: tile, end: end, order: inOrder[F]{fold: fold}}
}

type measureStage[T vec.Float, F any] struct {
	*job
	reads Reads
	tile  func(in input[T]) F
	end   func() error
	order inOrder[F]
}

func (st *measureStage[T, F]) Reads() Reads { return st.reads }

func (st *measureStage[T, F]) Span(s *Scratch, sp *Span) error {
	figures := make([]F, 0, sp.Last-sp.First)
	for t := range sp.Tiles {
		s.reset()
		figures = append(figures, st.tile(input[T]{st.job, s, sp, t}))
	}
	st.order.add(sp.First, figures)
	return nil
}

func (st *measureStage[T, F]) End() error {
	if st.end == nil {
		return nil
	}
	return st.end()
}

// produce is the last stage: tile returns the merged elements, which are rounded to the
// output's type.
func produce[T vec.Float](j *job, tile func(in input[T]) []T) Stage {
	return &produceStage[T]{job: j, tile: tile}
}

type produceStage[T vec.Float] struct {
	*job
	tile func(in input[T]) []T
}

func (st *produceStage[T]) Reads() Reads { return st.reads }
func (st *produceStage[T]) End() error   { return nil }

func (st *produceStage[T]) Span(s *Scratch, sp *Span) error {
	for t := range sp.Tiles {
		s.reset()
		odd, err := encode(st.finisher, sp, t, st.tile(input[T]{st.job, s, sp, t}))
		if err != nil {
			return err
		}
		st.odd.Add(odd)
	}
	return nil
}

// fails is a stage that ends the run, for a tensor that a method cannot merge.
func fails(err error) []Stage { return []Stage{failure{err}} }

type failure struct{ err error }

func (failure) Reads() Reads                 { return Reads{} }
func (f failure) Span(*Scratch, *Span) error { return f.err }
func (failure) End() error                   { return nil }
