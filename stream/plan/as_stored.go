package plan

import (
	"slices"

	"weld/format"
	"weld/format/quant"
)

// asStored has tensors made in the order in which their codes lie, where that is another than the one that values are shown in, for inputs and output alike, and the
// method makes each value of those in its place alone: then nothing has to be turned. What is written is the same, bit by bit.
func (p *planner) asStored() {
	if p.Output == nil || !p.method().Elementwise {
		return
	}
	for k := range p.Output.Encoded {
		target := &p.Output.Encoded[k]
		t := &p.Tensors[target.Codes]
		view, index, ok := inCodeOrder(t.From, int(t.Index))
		if !ok || !p.readAsStored(t, view.Tensors()[index].Shape) {
			continue
		}
		if e, ok := view.Encoding(index); ok {
			target.Encoding, t.AsStored = e, true
		}
	}
}

// readAsStored reports whether all operands of a tensor can be had in the order of their codes, in a shape.
func (p *planner) readAsStored(t *Tensor, shape []int64) bool {
	alike := func(in *Input, index int) bool {
		if in == nil || index < 0 {
			return true
		}
		view, i, ok := inCodeOrder(in, index)
		return ok && slices.Equal(view.Tensors()[i].Shape, shape)
	}
	if !alike(t.Reference, int(t.Base)) {
		return false
	}
	for k, c := range t.Models {
		if !alike(p.Model(t, k)) || !alike(p.Importance[c.Model], int(c.Importance)) {
			return false
		}
	}
	return true
}

// inCodeOrder is a tensor of an input in the order of its codes, if that is another than the one that it is shown in.
func inCodeOrder(in *Input, index int) (view *quant.Decoded, i int, ok bool) {
	if view, ok = in.Checkpoint.(*quant.Decoded); !ok {
		return nil, 0, false
	}
	return view.AsStored(index)
}

// Operand is a tensor of an input as it is read for this one.
func (t *Tensor) Operand(in *Input, index int) (format.Checkpoint, int) {
	if t.AsStored {
		if view, i, ok := inCodeOrder(in, index); ok {
			return view, i
		}
	}
	return in.Checkpoint, index
}

// RowLen is how many values are next to each other in a row, in the order in which they are made.
func (t *Tensor) RowLen() int64 {
	values := t.Values()
	if t.AsStored {
		return values.Shape[len(values.Shape)-2]
	}
	return values.RowLen()
}
