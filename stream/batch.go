package stream

import "sync"

// Many tensors are so small that handing them out, one by one, takes longer than merging them. A batch
// of them goes to one worker, which takes each through all its stages.

// Figures of a batch.
const (
	batchTensors = 256
	batchBytes   = 1 << 20  // of operands and output
	smallTile    = 64 << 10 // bytes of a tensor's operands and output, in one tile, up to which it is small
)

// batch is how many tensors from one on are done together; 1 for none but this one. Where bytes are coded in order,
// workers stay close together.
func (w *walk) batch(tensor int) (n int) {
	if w.writes() && w.plan.target.container.Block() > 0 {
		return 1
	}
	bytes := int64(0)
	for n < batchTensors && tensor+n < len(w.plan.Tensors) {
		t := &w.plan.Tensors[tensor+n]
		tiling := t.tiling()
		size := tiling.Elements() * w.plan.elementBytes(t, allReads)
		if tiling.Count() > 1 || size > smallTile || bytes+size > min(batchBytes, w.plan.Budget.Span) {
			break
		}
		bytes += size
		n++
	}
	return max(1, n)
}

// workBatch does all the tensors of a batch. Methods are asked for the stages of one tensor at a time: that is what
// opening is held for.
func (w *worker) workBatch(sp span, opening *sync.Mutex) error {
	w.batching = true
	defer func() { w.batching = false }()
	for i := sp.tensor; i < sp.tensor+sp.batch; i++ {
		opening.Lock()
		t := w.walk.open(i)
		opening.Unlock()
		if t == nil {
			continue
		}
		for t.stage < t.steps() {
			if err := w.workStage(t); err != nil {
				return err
			}
		}
	}
	return nil
}

// workStage does the stage under way of a small tensor, and goes on to the next.
func (w *worker) workStage(t *task) error {
	if err := w.work(span{t, 0, t.tiling.Count()}); err != nil {
		return err
	}
	if t.stages != nil {
		if err := t.stages[t.stage].End(); err != nil {
			return err
		}
	}
	t.stage++
	if t.skipIdle() {
		w.plan.Options.Progress.Advance(t.bytes)
	}
	if t.stage < t.steps() {
		w.walk.enter(t)
	} else {
		w.giveBack(span{task: t}, elements{}, nil) // what a stage that was passed over left
	}
	return nil
}
