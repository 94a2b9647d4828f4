package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"weld/format"
	"weld/mmapio"
	"weld/stream/fuse"
)

// walk is one pass over the planned tensors.
type walk struct {
	plan  *Plan
	name  string
	reads fuse.Reads // what the last stages read at most
	chain func(job int) []fuse.Stage
	outs  []*output // none in a measuring pass; one for each variant of a sweep
	ahead readAhead
	shelf shelf
}

// writes reports whether the walk fills outputs.
func (w *walk) writes() bool { return len(w.outs) > 0 }

// announce tells the progress of a walk that comes after so many of count others.
func (w *walk) announce(after, count int) {
	step := Step{Name: w.name, Index: after + 1, Count: max(count, after+1)}
	for i := range w.plan.Tensors {
		t := &w.plan.Tensors[i]
		if t.Action == Fuse || w.writes() {
			step.Bytes += w.plan.spanBytes(t, w.reads)
		}
	}
	w.plan.Options.Progress.Begin(step)
}

// run walks all tensors with the plan's workers. The first error ends it.
func (w *walk) run(ctx context.Context) error {
	cost := w.plan.method.Cost()
	s := &scheduler{
		tensors: len(w.plan.Tensors),
		memory:  w.plan.Budget.Jobs,
		ahead:   2 * w.plan.Budget.Workers,
		inOrder: w.writes(),
		cost: func(tensor int) int64 {
			if job, fused := w.plan.jobOf(tensor); fused {
				return cost.Job(job)
			}
			return 0
		},
		open:    w.open,
		batch:   w.batch,
		skipped: func(t *task) { w.plan.Options.Progress.Advance(t.bytes) },
		closed:  func(t *task) { w.shelf.clear(t.tensor) },
	}
	s.changed.L = &s.mu
	w.ahead.walk = w
	w.shelf.free, w.shelf.overhead = w.plan.Budget.Shelf, w.plan.viewOverhead()
	defer w.shelf.close()

	// Not errgroup.WithContext: that ends its context after success too, and an output
	// must not be aborted when it is complete.
	inner, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer context.AfterFunc(inner, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changed.Broadcast()
		for _, out := range w.outs {
			out.Abort(context.Cause(inner))
		}
	})()
	var group errgroup.Group
	for len(w.plan.workers) < w.plan.Budget.Workers {
		w.plan.workers = append(w.plan.workers, &worker{plan: w.plan})
	}
	for _, worker := range w.plan.workers {
		worker.walk = w
		group.Go(func() error {
			err := worker.run(inner, s)
			if err != nil {
				stop(err)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// open starts a tensor's task; nil if there is nothing to do for it in this walk.
func (w *walk) open(tensor int) *task {
	t := &task{tensor: tensor, tiling: w.plan.Tensors[tensor].tiling()}
	if t.tiling.Count() == 0 {
		return nil
	}
	if job, fused := w.plan.jobOf(tensor); fused {
		if t.stages = w.chain(job); len(t.stages) == 0 {
			return nil
		}
		planned := &w.plan.Tensors[tensor]
		last := t.stages[len(t.stages)-1]
		t.bytes = w.plan.spanBytes(planned, last.Reads())
		if s, ok := last.(fuse.Sampling); ok {
			t.bytes = int64(float64(t.bytes) * float64(s.Tiling().Covered()) / float64(s.Tiling().Elements()))
		}
		w.plan.Options.Progress.correct(t.bytes - w.plan.spanBytes(planned, w.reads))
	} else if !w.writes() {
		return nil
	}
	t.enter = w.enter
	w.enter(t)
	return t
}

// jobOf is the method's number of a fused tensor.
func (p *Plan) jobOf(tensor int) (job int, fused bool) {
	return slices.BinarySearch(p.jobs, int32(tensor))
}

// enter finds the tiles of a task's stage, and how many are shown at once.
func (w *walk) enter(t *task) {
	out := &w.plan.Tensors[t.tensor]
	t.tiling = out.tiling()
	if t.stages != nil {
		if s, ok := t.stages[t.stage].(fuse.Sampling); ok {
			t.tiling = s.Tiling()
		}
	}
	if t.tiling.IsSparse() {
		t.per = 1
		return
	}
	tile := tileElements(t.tiling)
	t.per = w.plan.Budget.Span / (tile * w.plan.elementBytes(out, allReads))
	if block := w.plan.target.container.Block(); block > 0 && w.writes() && t.stage == t.steps()-1 {
		t.per = min(t.per, block/(tile*int64(unit(out.DType).Bits()/8)))
	}
	t.per = max(1, t.per)
}

// worker is one goroutine's share of a walk. Its memory serves all walks of a plan.
type worker struct {
	walk    *walk
	plan    *Plan
	scratch fuse.Scratch
	views   []mmapio.View // of the span at hand: base, then each model and its importance
	lent    int64         // bytes of them that the stage reads
	span    fuse.Span
	outs    [][]byte

	batching bool // at the tensors of a batch
}

func (w *worker) run(ctx context.Context, s *scheduler) error {
	for {
		sp, ok := s.take(ctx)
		if !ok {
			return nil
		}
		var err error
		if sp.batch > 0 {
			err = w.workBatch(sp, &s.mu)
		} else {
			err = w.work(sp)
		}
		if err != nil {
			return err
		}
		if err := s.done(sp); err != nil {
			return err
		}
	}
}

// work takes one span from the mapping to the output.
func (w *worker) work(sp span) error {
	t := &w.plan.Tensors[sp.tensor]
	lo, _ := sp.tiling.Range(sp.first)
	_, hi := sp.tiling.Range(sp.last - 1)
	if sp.stage == 0 && !sp.tiling.IsSparse() && !w.batching {
		w.walk.ahead.took((hi - lo) * w.plan.elementBytes(t, w.walk.reads))
	}
	err := w.process(sp, t, lo, hi)
	w.giveBack(sp, elements{lo, hi}, err)
	if w.walk.writes() && w.plan.Budget.Drop && !w.batching && sp.stage == sp.steps()-1 {
		w.plan.advise(mmapio.Done, t, w.walk.reads, lo, hi)
	}
	return err
}

func (w *worker) process(sp span, t *Output, lo, hi int64) error {
	if sp.stages == nil {
		return w.copy(sp, t, lo, hi)
	}
	stage := sp.stages[sp.stage]
	w.span.Tiling, w.span.First, w.span.Last = sp.tiling, sp.first, sp.last
	if err := w.borrow(sp.tensor, t, stage.Reads(), lo, hi); err != nil {
		return err
	}
	writes := w.walk.writes() && sp.stage == len(sp.stages)-1
	w.span.Out, w.span.Outs = nil, nil
	if writes {
		w.span.OutDType = t.DType
		w.buffers((hi - lo) * int64(t.DType.Bits()/8))
	}
	err := mmapio.Guard(w.views, func() error { return stage.Span(&w.scratch, &w.span) })
	if err != nil {
		return w.plan.explain(err, t)
	}
	if sp.stage == len(sp.stages)-1 {
		w.plan.Options.Progress.Advance(w.lent)
	}
	if !writes {
		return nil
	}
	for v, out := range w.walk.outs {
		if err := out.WriteAt(sp.tensor, lo*int64(t.DType.Bits()/8), w.span.Outs[v]); err != nil {
			return err
		}
	}
	return nil
}

// copy moves the bytes of a span as they are: inside the kernel, if it can.
func (w *worker) copy(sp span, t *Output, lo, hi int64) error {
	defer w.plan.Options.Progress.Advance(hi - lo)
	for _, out := range w.walk.outs {
		if err := w.copyTo(out, sp, t, lo, hi); err != nil {
			return err
		}
	}
	return nil
}

func (w *worker) copyTo(out *output, sp span, t *Output, lo, hi int64) error {
	if file, begin := format.Stored(t.from.Checkpoint, int(t.index)); file != nil {
		err := out.CopyAt(sp.tensor, lo, file, begin+lo, hi-lo)
		if !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	view, err := t.from.View(int(t.index), lo, hi-lo)
	if err != nil {
		return err
	}
	defer view.Release()
	return mmapio.Guard([]mmapio.View{view}, func() error { return out.WriteAt(sp.tensor, lo, view.Data) })
}

// borrow lends the operands of elements [lo, hi) that a stage reads. What an earlier stage left for it comes
// from the shelf.
func (w *worker) borrow(tensor int, t *Output, reads fuse.Reads, lo, hi int64) error {
	if !w.span.Tiling.IsSparse() && !w.batching {
		w.views = append(w.views, w.walk.shelf.take(tensor, elements{lo, hi})...)
	}
	w.lent = 0
	next := 0
	operand := func(s *Source, i int, wanted bool) (fuse.Operand, error) {
		if next == len(w.views) {
			w.views = append(w.views, mmapio.View{})
		}
		view := &w.views[next]
		next++
		if !wanted || s == nil || i < 0 {
			return fuse.Operand{}, nil
		}
		dtype := unit(s.Tensors()[i].DType)
		if view.Data == nil {
			size := int64(dtype.Bits() / 8)
			var err error
			if w.span.Tiling.IsSparse() || (hi-lo)*size <= smallOperand {
				*view, err = format.Read(s.Checkpoint, i, lo*size, (hi-lo)*size)
			} else {
				*view, err = s.View(i, lo*size, (hi-lo)*size)
			}
			if err != nil {
				return fuse.Operand{}, err
			}
		}
		w.lent += int64(len(view.Data))
		return fuse.Operand{DType: dtype, Data: view.Data}, nil
	}
	sp := &w.span
	sp.Models, sp.Importance = sp.Models[:0], sp.Importance[:0]
	var err error
	if sp.Base, err = operand(t.reference, int(t.base), reads.Base); err != nil {
		return err
	}
	for _, x := range t.parts {
		from, i := w.plan.operand(t, x)
		model, err := operand(from, i, reads.Models)
		if err != nil {
			return err
		}
		importance, err := operand(w.plan.importance[x.model], int(x.importance), reads.Importance)
		if err != nil {
			return err
		}
		sp.Models = append(sp.Models, model)
		sp.Importance = append(sp.Importance, importance)
	}
	return nil
}

// giveBack ends the loan of a span's views, unless a later stage will want them and there is room to keep
// them until then.
func (w *worker) giveBack(sp span, at elements, err error) {
	wanted := err == nil && sp.stage < sp.steps()-1 && !sp.tiling.IsSparse()
	if wanted && w.batching {
		return // the next stage is this worker's, too
	}
	if !wanted || !w.walk.shelf.put(sp.tensor, at, w.views) {
		release(w.views)
	}
	w.views = w.views[:0]
}

// smallOperand is the bytes up to which an operand is rather copied than mapped: a mapping takes
// two system calls, and both interrupt the other processors.
const smallOperand = 64 << 10

// unit is the type in which a stage sees a tensor: one that weld does not compute
// with is a run of bytes.
func unit(d format.DType) format.DType {
	if d.Computable() {
		return d
	}
	return format.U8
}

// buffers lends the span the worker's memory for its outputs.
func (w *worker) buffers(n int64) {
	for len(w.outs) < len(w.walk.outs) {
		w.outs = append(w.outs, nil)
	}
	for v := range w.outs {
		if int64(cap(w.outs[v])) < n {
			w.outs[v] = make([]byte, n)
		}
		w.span.Outs = append(w.span.Outs, w.outs[v][:n])
	}
	w.span.Out = w.span.Outs[0]
}

// explain adds to a method's error what only the plan knows.
func (p *Plan) explain(err error, t *Output) error {
	odd, ok := err.(*fuse.NonfiniteError)
	if !ok {
		return err
	}
	if path := p.culprit(odd, t); path != "" {
		err = &format.Error{Path: path, Kind: format.KindNonfinite, Err: odd}
	} else {
		err = fmt.Errorf("the merge: %w", odd)
	}
	return fmt.Errorf("%w; nonfinite propagate lets such values pass, nonfinite base takes the base's", err)
}

// culprit is the file whose value is not finite; "" where no file's is.
func (p *Plan) culprit(odd *fuse.NonfiniteError, t *Output) string {
	switch odd.Whose {
	case fuse.OfModel:
		from, _ := p.operand(t, t.parts[odd.Model])
		return from.Path
	case fuse.OfImportance:
		return p.importance[t.parts[odd.Model].model].Path
	case fuse.OfBase:
		return t.reference.Path
	}
	return ""
}
