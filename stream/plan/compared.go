package plan

import (
	"bytes"
	"slices"

	"weld/format"
	"weld/mmapio"
)

// noteDifferent says where models disagree on a tensor that is copied from one source.
func (p *planner) noteDifferent(out Tensor, s request) {
	for _, in := range s.inputs {
		m := p.Models[in.model]
		if m == out.From {
			continue
		}
		j, ok := m.Find(in.name)
		if !ok {
			p.noteTensor(m.Path, in.name, "not there; copied from %s as %v", out.From.Path, out.DType)
		} else if got := m.Tensors()[j]; got.DType != out.DType || !slices.Equal(got.Shape, out.Shape) {
			p.noteTensor(m.Path, in.name, "%v %v; copied from %s as %v %v", got.DType, got.Shape, out.From.Path, out.DType, out.Shape)
		} else if !p.sameBytes(m, j, out) {
			p.noteTensor(m.Path, in.name, "%v, differs; copied from %s", out.DType, out.From.Path)
		}
	}
}

// smallTensor is the most bytes that a plan reads of a tensor to compare it. Those
// that are copied are buffers, next to always.
const smallTensor = 1 << 20

// sameBytes reports whether a small tensor is the same in a model and where it is copied from;
// a large one is taken to be, and said to be unknown.
func (p *planner) sameBytes(m *Input, j int, t Tensor) bool {
	if t.Bytes() > smallTensor {
		p.noteTensor(m.Path, t.Name, "%v, %d bytes, not compared; copied from %s", t.DType, t.Bytes(), t.From.Path)
		return true
	}
	a, err := format.Read(t.From.Checkpoint, int(t.Index), 0, t.Bytes())
	if err != nil {
		return true // the run will say what is wrong with it
	}
	defer a.Release()
	b, err := format.Read(m.Checkpoint, j, 0, t.Bytes())
	if err != nil {
		return true
	}
	defer b.Release()
	same := true
	err = mmapio.Guard([]mmapio.View{a, b}, func() error {
		same = bytes.Equal(a.Data, b.Data)
		return nil
	})
	return same || err != nil
}
