package stream

import (
	"weld/format"
	"weld/format/frames"
	"weld/format/packed"
	"weld/mmapio"
	"weld/stream/destination"
	"weld/stream/fuse"
	"weld/stream/plan"
	"weld/stream/recipe"
	"weld/stream/run"
)

// Prepared is a merge that can run: a plan, and the memory that running it takes.
type Prepared struct {
	*plan.Plan
	Budget  run.Budget
	Options Options
	began   *mmapio.Transfers // when it was planned; nil where the system does not say
}

// transfers are those of this process until now.
func transfers() *mmapio.Transfers {
	t, ok := mmapio.Transferred()
	if !ok {
		return nil
	}
	return &t
}

// Prepare plans the merge of a recipe and divides the memory; out is "" where nothing is to be written. All that
// is wrong with the inputs comes back as one [*plan.InputError]. What is returned must be closed.
func Prepare(r *recipe.Recipe, out string, o Options) (*Prepared, error) {
	o = o.withDefaults()
	began := transfers()
	if err := o.resume(out); err != nil {
		return nil, &plan.InputError{Problems: []error{err}}
	}
	p, err := plan.New(r, out, o.planning())
	if err != nil {
		return nil, err
	}
	budget, err := divide(p, p.NewMethod(o.tableBytes()), 1, o)
	if err != nil {
		early := p.Early
		p.Close()
		if early { // marks of what is left take memory
			return prepareTwo(r, out, o)
		}
		return nil, err
	}
	return &Prepared{p, budget, o, began}, nil
}

// prepareTwo is [Prepare] where the memory does not suffice to fuse in the walk that finds thresholds.
func prepareTwo(r *recipe.Recipe, out string, o Options) (*Prepared, error) {
	o.Passes = PassesTwo
	p, err := Prepare(r, out, o)
	if err == nil {
		p.Notes = append(p.Notes, "thresholds are found before anything is fused, and the inputs read more than once: the memory budget is too small")
	}
	return p, err
}

// divide splits the memory of a run whose method fills so many outputs.
func divide(p *plan.Plan, method fuse.Method, outputs int, o Options) (run.Budget, error) {
	d := run.Demand{Tensors: tensors{p}, Cost: method.Cost(), Inputs: checkpoints(&p.Inputs), Sinks: outputs, Held: p.Costs.Held, Touched: p.FileBytes()}
	if out := p.Output; out != nil {
		d.Touched += out.Size
		d.Window = func(workers int) int64 {
			return int64(outputs) * (windowBytes(out.Container, workers) + out.EncodingBytes(workers))
		}
	}
	budget, err := run.Divide(d, o.Memory, o.Threads, o.Cache)
	if err != nil {
		return budget, &plan.InputError{Problems: []error{err}}
	}
	return budget, nil
}

// windowBytes is what an output holds between compression and disk.
func windowBytes(c destination.Container, workers int) int64 {
	switch {
	case c.Packs():
		return packed.WindowBytes(workers)
	case c == destination.Compressed:
		const content, encoder = 2 * destination.FrameContent, 2 << 20 // a frame before and after, and its encoder
		return int64(frames.Window(workers))*content + int64(workers)*encoder
	}
	return 0
}

// config is the run of a plan by a method that fills so many outputs.
func config(p *plan.Plan, method fuse.Method, outputs int, budget run.Budget, o Options) run.Config {
	c := run.Config{Tensors: tensors{p}, Method: method, Budget: budget, Progress: o.Progress, Sinks: outputs}
	if outputs == 1 {
		c.ReadBytes = p.Costs.ReadBytes + p.Costs.AgainBytes
	}
	if p.Output != nil {
		c.Block = p.Output.Container.Block()
	}
	return c
}

// Forecast is what disks will read for the merge, if nothing of its inputs is cached.
func (p *Prepared) Forecast() run.Forecast {
	return run.Foresee(config(p.Plan, p.NewMethod(p.Options.tableBytes()), 1, p.Budget, p.Options))
}

// checkpoints are all opened inputs.
func checkpoints(in *plan.Inputs) (list []format.Checkpoint) {
	for i := range in.Opened {
		list = append(list, in.Opened[i].Checkpoint)
	}
	return list
}

// tensors are those of a plan as a run sees them; see [run.Tensors].
type tensors struct{ *plan.Plan }

// Len implements [run.Tensors].
func (p tensors) Len() int { return len(p.Tensors) }

// Describe implements [run.Tensors].
func (p tensors) Describe(i int, to *run.Tensor) {
	t := &p.Tensors[i]
	values := &t.Tensor
	if t.Action == plan.Encode {
		v := t.Values()
		values = &v
	}
	*to = run.Tensor{DType: values.DType, Models: to.Models[:0], Importance: to.Importance[:0]}
	switch t.Action {
	case plan.Beside:
		if from, index, copied := t.Original(); copied { // else it is the writer's
			to.Copied = run.Stored{From: from, Index: index}
			to.Bytes = values.Bytes()
		}
		return
	case plan.Copy:
		to.Copied = operand(t, t.From, int(t.Index))
		to.Bytes = values.Bytes()
		return
	}
	to.Elements, to.RowLen = values.Elements(), t.RowLen()
	to.Bytes = to.Elements * int64(values.DType.Bits()) / 8
	to.Base = operand(t, t.Reference, int(t.Base))
	for k := range t.Models {
		c := &t.Models[k]
		from, index := p.Model(t, k)
		to.Models = append(to.Models, operand(t, from, index))
		to.Importance = append(to.Importance, operand(t, p.Importance[c.Model], int(c.Importance)))
	}
}

// operand is a tensor of an input, as it is read for one of the output; none where the index is negative.
func operand(of *plan.Tensor, in *plan.Input, index int) run.Stored {
	if in == nil || index < 0 {
		return run.Stored{}
	}
	from, i := of.Operand(in, index)
	return run.Stored{From: from, Index: i}
}
