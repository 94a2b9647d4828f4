package run

import (
	"context"
	"sync/atomic"

	"weld/stream/fuse"
)

// walk is one pass over the tensors. It says to the scheduler what there is to do for each.
type walk struct {
	*Runner
	name  string
	reads fuse.Reads // what the last stages read at most
	chain func(job int) []fuse.Stage
	total int64  // bytes that it reads; 0 where they have to be counted
	sinks []Sink // none in a measuring pass; one for each variant of a sweep
	final bool   // the last of the run
	left  *left  // of an early pass

	ahead   readAhead
	pages   pageCache
	views   viewCache
	results resultCache
	sized   Tensor       // whose size is looked at
	begun   atomic.Int32 // workers of the runner that have begun
}

// writes reports whether the walk fills outputs.
func (w *walk) writes() bool { return len(w.sinks) > 0 }

// bytes is what the walk reads.
func (w *walk) bytes() (n int64) {
	var t Tensor
	for i := range w.config.Tensors.Len() {
		if w.config.Tensors.Describe(i, &t); !t.copied() || w.writes() {
			n += t.ReadBytes(w.reads)
			if !t.copied() && w.measures(i) {
				n += t.ReadBytes(w.reads)
			}
		}
	}
	return n
}

// run walks all tensors with the runner's workers. The first error ends it.
func (w *walk) run(ctx context.Context) error {
	s := newScheduler(w, w.config.Tensors.Len(), w.config.Budget.Jobs, 2*w.config.Budget.Workers, w.writes())
	w.ahead.walk = w
	w.pages.begin(w)
	w.views.free, w.views.overhead = w.config.Budget.Views, w.config.Budget.ViewCost
	w.results.views, w.views.idle = &w.views, w.results.yield
	defer w.views.close()
	abort := func(cause error) {
		s.wake()
		for _, out := range w.sinks {
			out.Abort(cause)
		}
	}
	return Workers(ctx, len(w.workers), abort, func(ctx context.Context) error {
		worker := w.workers[w.begun.Add(1)-1]
		worker.walk = w
		return worker.run(ctx, s)
	})
}

// Cost implements [tasks].
func (w *walk) Cost(tensor int) int64 {
	if job, fused := w.config.Tensors.Job(tensor); fused {
		return w.cost.Job(job)
	}
	return 0
}

// Open implements [tasks].
func (w *walk) Open(tensor int) *task {
	t := new(task)
	if !w.open(t, tensor) {
		return nil
	}
	return t
}

// open begins with a tensor in the memory of a task, if there is something to do for it.
func (w *walk) open(t *task, tensor int) bool {
	job, fused := w.config.Tensors.Job(tensor)
	if !fused && !w.writes() {
		return false
	}
	*t = task{tensor: tensor, of: t.of}
	w.config.Tensors.Describe(tensor, &t.of)
	if t.of.tiling().Count() == 0 {
		return false
	}
	if fused {
		t.stages = w.chain(job)
		if len(t.stages) == 0 {
			return false
		}
		last := t.stages[len(t.stages)-1]
		t.bytes = t.of.ReadBytes(last.Reads())
		if s, ok := last.(fuse.Sampling); ok {
			t.bytes = int64(float64(t.bytes) * float64(s.Tiling().Covered()) / float64(s.Tiling().Elements()))
		}
		expected := t.of.ReadBytes(w.reads)
		if w.measures(tensor) {
			t.rehearse()
			expected *= 2
		}
		w.config.Progress.correct(t.bytes - expected)
	}
	t.tiles = w.Enter(t, 0)
	return true
}

// Enter implements [tasks].
func (w *walk) Enter(t *task, stage int) tiles {
	tiling := t.of.tiling()
	if t.stages != nil {
		if s, ok := t.stages[stage].(fuse.Sampling); ok {
			tiling = s.Tiling()
		}
	}
	if tiling.IsSparse() {
		return tiles{tiling, 1}
	}
	tile := tileElements(tiling)
	per := w.config.Budget.Span / (tile * t.of.elementBytes(allReads, w.config.Sinks))
	if w.config.Block > 0 && w.writes() && stage == t.steps()-1 {
		per = min(per, w.config.Block/(tile*int64(unit(t.of.DType).Bits()/8)))
	}
	return tiles{tiling, max(1, per)}
}

// Skipped implements [tasks].
func (w *walk) Skipped(t *task) {
	w.config.Progress.Advance(t.bytes)
	w.pages.skipped(t)
}

// Closed implements [tasks].
func (w *walk) Closed(t *task) {
	w.views.clear(t.tensor)
	w.pages.closed(t)
	w.results.clear(t.tensor)
}
