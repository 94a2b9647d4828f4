package run

import (
	"context"
	"errors"

	"weld/format"
	"weld/mmapio"
	"weld/stream/fuse"
)

// worker is one goroutine's share of a walk. Its memory serves all walks of a runner.
type worker struct {
	walk    *walk
	scratch fuse.Scratch
	views   []mmapio.View // of the item at hand: base, then each model and its importance
	decoded []int         // those that are of a part of the item
	lent    int64         // bytes of them that the stage reads
	span    fuse.Span
	outs    [][]byte
	leaving leaving // in an early pass

	batching bool // at the tensors of a batch
	small    task // the one at hand
}

// run works until there is nothing left to do.
func (w *worker) run(ctx context.Context, s *scheduler) error {
	for {
		it, ok := s.take(ctx)
		if !ok {
			return nil
		}
		var err error
		if it.batch > 0 {
			err = w.workBatch(it)
		} else {
			err = w.work(it)
		}
		if err != nil {
			return err
		}
		if err := s.done(it); err != nil {
			return err
		}
	}
}

// work takes one item from the mapping to the output.
func (w *worker) work(it item) error {
	at := it.elements()
	if w.batching {
		w.walk.ahead.begun(it, at)
	} else {
		w.walk.ahead.begins(it, at)
	}
	err := w.process(it, at.lo, at.hi)
	held := w.giveBack(it, at, err)
	if err == nil {
		w.walk.pages.left(it, at, held)
	}
	return err
}

// elements are those of an item's tiles.
func (it item) elements() elements {
	lo, _ := it.tiling.Range(it.first)
	_, hi := it.tiling.Range(it.last - 1)
	return elements{lo, hi}
}

// process has the stage work on the item's elements [lo, hi), and writes what the last one makes of them.
func (w *worker) process(it item, lo, hi int64) error {
	if it.stages == nil {
		return w.copy(it, lo, hi)
	}
	w.span.OutDType, w.span.Out, w.span.Outs, w.span.Later = it.of.DType, nil, nil, nil
	if w.walk.left != nil && it.yields() {
		w.leaving.to, w.leaving.tensor, w.leaving.item = w.walk.left, it.tensor, lo
		w.span.Later = &w.leaving
	}
	whole := elements{lo, hi}
	var o *output
	if w.walk.writes() && it.yields() {
		if done, err := w.rehearsed(it, whole); done {
			return err
		}
		o = w.output(it, whole)
	}
	part, step := it, w.walk.partTiles(it)
	for first := it.first; first < it.last; first = part.last {
		part.first, part.last = first, min(first+step, it.last)
		if o != nil {
			o.begin(&part)
		}
		if err := w.part(part, part.elements(), whole); err != nil {
			return err
		}
		if o != nil {
			if err := o.end(&part); err != nil {
				return err
			}
		}
	}
	if o == nil {
		return nil
	}
	return o.finish()
}

// part has the stage work on some of an item's tiles.
func (w *worker) part(it item, at, whole elements) error {
	stage := it.stages[it.stage]
	w.span.Tiling, w.span.First, w.span.Last = it.tiling, it.first, it.last
	w.span.Again = it.twice && !it.rehearses()
	if len(w.span.Outs) > 0 {
		w.span.Out = w.span.Outs[0]
	}
	if err := w.borrow(it.task, stage.Reads(), at, whole); err != nil {
		return err
	}
	if err := mmapio.Guard(w.views, func() error { return stage.Span(&w.scratch, &w.span) }); err != nil {
		return err
	}
	if it.yields() {
		w.walk.config.Progress.Advance(w.lent)
	}
	if at != whole {
		for _, i := range w.decoded {
			w.views[i].Release()
			w.views[i] = mmapio.View{}
		}
	}
	return nil
}

// partBytes is the bytes of operands and output of a part of an item: they stay in the second-level cache.
const partBytes = 512 << 10

// partTiles is how many tiles of an item are worked on at a time: as many as stay in the cache, where operands are decoded
// into memory when they are lent, or what is made of them is collected. What a later stage finds in the view cache is not cut.
func (w *walk) partTiles(it item) int64 {
	if it.measures() || it.tiling.IsSparse() || !it.of.inPieces(allReads) && !w.collects(it.tensor) {
		return max(1, it.last-it.first)
	}
	return max(1, partBytes/(tileElements(it.tiling)*it.of.elementBytes(allReads, w.config.Sinks)))
}

// copy moves the bytes of an item as they are.
func (w *worker) copy(it item, lo, hi int64) error {
	defer w.walk.config.Progress.Advance(hi - lo)
	for _, out := range w.walk.sinks {
		if err := copyTo(out, it, lo, hi); err != nil {
			return err
		}
	}
	return nil
}

// copyTo copies inside the kernel, if it can.
func copyTo(out Sink, it item, lo, hi int64) error {
	from, i := it.of.Copied.From, it.of.Copied.Index
	if file, begin := format.Stored(from, i); file != nil {
		err := out.CopyAt(it.tensor, lo, file, begin+lo, hi-lo)
		if !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	view, err := from.View(i, lo, hi-lo)
	if err != nil {
		return err
	}
	defer view.Release()
	return mmapio.Guard([]mmapio.View{view}, func() error { return out.WriteAt(it.tensor, lo, view.Data) })
}

// borrow lends the operands that a stage reads: those that are decoded for the part of an item, others for the whole, since a
// mapping costs as much for few bytes. What an earlier stage left for it comes from the cache.
func (w *worker) borrow(t *task, reads fuse.Reads, part, whole elements) error {
	if !w.span.Tiling.IsSparse() && !w.batching && part.lo == whole.lo {
		w.views = append(w.views, w.walk.views.take(t.tensor, whole)...)
	}
	w.decoded = w.decoded[:0]
	l := loan{worker: w, part: part, whole: whole}
	sp := &w.span
	sp.Base = l.lend(t.of.Base, reads.Base)
	sp.Models, sp.Importance = sp.Models[:0], sp.Importance[:0]
	for m := range t.of.Models {
		sp.Models = append(sp.Models, l.lend(t.of.Models[m], reads.Models))
		sp.Importance = append(sp.Importance, l.lend(t.of.Importance[m], reads.Importance))
	}
	w.lent = l.bytes
	return l.err
}

// loan lends the operands of one item, one after the other.
type loan struct {
	*worker
	part, whole elements
	next        int // of the worker's views
	bytes       int64
	err         error // the first
}

// smallOperand is the bytes up to which an operand is rather copied than mapped: a mapping takes
// two system calls, and both interrupt the other processors.
const smallOperand = 64 << 10

// lend lends an operand, if it is wanted and there.
func (l *loan) lend(o Stored, wanted bool) fuse.Operand {
	if l.next == len(l.views) {
		l.views = append(l.views, mmapio.View{})
	}
	view := &l.views[l.next]
	l.next++
	if !wanted || o.From == nil || l.err != nil {
		return fuse.Operand{}
	}
	dtype := o.dtype()
	at, size := l.whole, int64(dtype.Bits()/8)
	if l.part != l.whole && format.InPieces(o.From, o.Index) {
		at = l.part
		l.decoded = append(l.decoded, l.next-1)
	}
	if view.Data == nil {
		if l.span.Tiling.IsSparse() || (at.hi-at.lo)*size <= smallOperand {
			*view, l.err = format.Read(o.From, o.Index, at.lo*size, (at.hi-at.lo)*size)
		} else {
			*view, l.err = o.From.View(o.Index, at.lo*size, (at.hi-at.lo)*size)
		}
		if l.err != nil {
			return fuse.Operand{}
		}
	}
	data := view.Data[(l.part.lo-at.lo)*size : (l.part.hi-at.lo)*size]
	l.bytes += int64(len(data))
	return fuse.Operand{DType: dtype, Data: data}
}

// giveBack ends the loan of an item's views, unless a later stage will want them and there is room to keep
// them until then.
func (w *worker) giveBack(it item, at elements, err error) (held bool) {
	wanted := err == nil && it.stage < it.steps()-1 && !it.tiling.IsSparse() && (w.batching || !it.rehearses())
	if wanted && w.batching {
		return true // the next stage is this worker's, too
	}
	if held = wanted && w.walk.views.put(it.tensor, at, w.views); !held {
		release(w.views)
	}
	w.views = w.views[:0]
	return held
}

// buffers lends the span the worker's memory for its outputs.
func (w *worker) buffers(n int64) {
	for len(w.outs) < len(w.walk.sinks) {
		w.outs = append(w.outs, nil)
	}
	w.span.Outs = w.span.Outs[:0]
	for v := range w.outs {
		if int64(cap(w.outs[v])) < n {
			w.outs[v] = make([]byte, n)
		}
		w.outs[v] = w.outs[v][:n]
		w.span.Outs = append(w.span.Outs, w.outs[v])
	}
}
