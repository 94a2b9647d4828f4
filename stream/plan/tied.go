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
