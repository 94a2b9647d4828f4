package plan

import (
	"slices"

	"weld/format"
	"weld/format/hub"
	"weld/stream/tokens"
)

// tiedTo finds the tensor that stands for the output layer of a checkpoint that has none.
func tiedTo(c format.Checkpoint, name string) (i int, ok bool) {
	for _, t := range hub.TiedHeads {
		if t.Head == name {
			if i, ok := c.Find(t.Embedding); ok {
				return i, true
			}
		}
	}
	return -1, false
}

// unties reports whether an output layer is written that the reference has by its embeddings, so that
// its configuration may say of the output what is no longer so.
func (p *planner) unties() bool {
	ref := p.Reference()
	return slices.ContainsFunc(p.Tensors, func(t Tensor) bool {
		if _, tied := tiedTo(ref.Checkpoint, t.Name); !tied {
			return false
		}
		i, ok := ref.Find(t.Name)
		return !ok || tokens.StandsIn(ref.Checkpoint, i)
	})
}

// untied reports whether a tensor is an output layer that takes its type from the embeddings.
func (t *Tensor) untied() bool {
	return slices.Contains(hub.TiedHeads, hub.TiedHead{Head: t.Name, Embedding: t.From.Tensors()[t.Index].Name})
}

// noteUntied says that an output layer is stored plainly beside embeddings that are codes: what is declared of these says nothing of it.
func (p *planner) noteUntied() {
	for i := range p.Tensors {
		if t := &p.Tensors[i]; p.encodes && t.Action == Fuse && t.decoded() && t.untied() {
			p.note("%s: %q is stored plainly, as %v: the embeddings that it is tied to are codes, and the configuration does not say that an output layer would be; list it there among modules that are not converted",
				t.From.Path, t.Name, t.DType)
		}
	}
}
