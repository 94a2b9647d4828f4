package run

// Many tensors are so small that handing them out, one by one, takes longer than merging them. A batch
// of them goes to one worker, which takes each through all its stages.

// Figures of a batch.
const (
	batchTensors = 256
	batchBytes   = 1 << 20  // of operands and output
	smallTile    = 64 << 10 // bytes of a tensor's operands and output, in one tile, up to which it is small
)

// Batch implements [tasks]. Where bytes are coded in order, workers stay close together.
func (w *walk) Batch(tensor int) (n int) {
	if w.writes() && w.config.Block > 0 {
		return 1
	}
	bytes, t := int64(0), &w.sized
	for n < batchTensors && tensor+n < w.config.Tensors.Len() {
		w.config.Tensors.Describe(tensor+n, t)
		tiling := t.tiling()
		size := tiling.Elements() * t.elementBytes(allReads, w.config.Sinks)
		if tiling.Count() > 1 || size > smallTile || bytes+size > min(batchBytes, w.config.Budget.Span) {
			break
		}
		bytes += size
		n++
	}
	return max(1, n)
}

// workBatch does all the tensors of a batch.
func (w *worker) workBatch(batch item) error {
	w.batching = true
	defer func() { w.batching = false }()
	for i := batch.tensor; i < batch.tensor+batch.batch; i++ {
		t := &w.small
		if !w.walk.open(t, i) {
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
	if err := w.work(item{t, 0, t.tiling.Count()}); err != nil {
		return err
	}
	if t.stages != nil {
		if err := t.stages[t.stage].End(); err != nil {
			return err
		}
	}
	next, skipped := t.after(t.stage)
	if skipped {
		w.walk.Skipped(t)
	}
	if t.stage = next; next < t.steps() {
		t.tiles = w.walk.Enter(t, next)
	} else {
		w.giveBack(item{task: t}, elements{}, nil) // what a stage that was passed over left
	}
	return nil
}
