package plan

import (
	"weld/format"
	"weld/format/quant"
	"weld/stream/fuse"
)

// Bytes that headers, names and plan take for a tensor: in the list of an input, which models of one
// architecture share; in the output with its contributions; and where it is stored as codes, for how, and while it is
// written. A test holds the sum to it.
const (
	listedBytes  = 130
	plannedBytes = 160
	encodedBytes = 500
)

// HeldBytes bounds what headers and plan hold; found is what is kept beside it of each tensor.
func (in *Inputs) HeldBytes(tensors int, found int64) int64 {
	held := listedBytes * in.lists
	for i := range in.Opened {
		tensors = max(tensors, len(in.Opened[i].Tensors()))
		held += quant.HeldIn(in.Opened[i].Checkpoint)
	}
	return held + (plannedBytes+found)*int64(tensors)
}

// heldBytes bounds what the inputs and the whole plan hold.
func (p *planner) heldBytes() int64 {
	held := p.HeldBytes(len(p.Tensors), 0)
	if p.gguf != nil {
		held += p.gguf.Pairs.Bytes()
	}
	for _, content := range p.generated {
		held += int64(len(content))
	}
	if p.Output != nil {
		held += encodedBytes * int64(len(p.Output.Encoded))
	}
	return held
}

// FileBytes is the size of all files of the inputs.
func (in *Inputs) FileBytes() (n int64) {
	for i := range in.Opened {
		n += in.Opened[i].FileBytes()
	}
	return n
}

// InputBytes is the size of all files of the inputs, each once: a base may be one of the models.
func (in *Inputs) InputBytes() (n int64) {
	seen := make(map[string]bool)
	for i := range in.Opened {
		for _, f := range in.Opened[i].Files() {
			if !seen[f.Path] {
				seen[f.Path] = true
				n += f.Info.Size()
			}
		}
	}
	return n
}

// FileBytes is the size of the input's files.
func (in *Input) FileBytes() (n int64) {
	for _, f := range in.Files() {
		n += f.Info.Size()
	}
	return n
}

// hold takes account of one more input: its tensors are listed together with those of an earlier one, if these are
// the same.
func (in *Inputs) hold(i int) {
	for j := range i {
		if format.Share(in.Opened[i].Checkpoint, in.Opened[j].Checkpoint) {
			return
		}
	}
	in.lists += int64(len(in.Opened[i].Tensors()))
}

// count finds out what running the plan takes.
func (p *planner) count() {
	method := p.walks()
	p.Costs = Costs{Passes: method.Expected() + 1, Reads: method.Reads(), Held: p.heldBytes(), Rewrites: p.Costs.Rewrites}
	if p.options.Held != nil {
		p.options.Held(p.Costs.Held)
	}
	for i := range p.Tensors {
		p.Costs.ReadBytes += p.readBytes(&p.Tensors[i], p.Costs.Reads)
	}
	if p.Output == nil {
		return
	}
	for _, e := range p.Output.Encoded {
		if e.Measures() {
			p.Costs.AgainBytes += p.readBytes(&p.Tensors[e.Codes], p.Costs.Reads)
		}
	}
}

// walks decides whether thresholds are found in the walk that fuses. It returns the method, which goes by that.
func (p *planner) walks() fuse.Method {
	p.Early = p.Output != nil && p.options.Early != nil && p.options.Early(p.FileBytes()+p.Output.Size)
	method := p.NewMethod(0)
	var searches bool
	var why string
	m, ok := method.(fuse.Early)
	if ok {
		searches, why = m.Searches()
	}
	switch {
	case !p.Early || !searches:
		p.Early = false
		return method
	case why != "":
	case p.options.Varied:
		why = "variants share the walks, and each has thresholds of its own"
	case !p.Output.rewritable():
		why = "the output's bytes are coded, and written once"
	default:
		p.Costs.Rewrites = m.Rewrites()
		return method
	}
	p.Notes = append(p.Notes, "thresholds are found before anything is fused, and the inputs read more than once: "+why)
	p.Early = false
	return p.NewMethod(0)
}

// readBytes is the size of a whole tensor's operands.
func (p *Plan) readBytes(t *Tensor, reads fuse.Reads) (n int64) {
	switch t.Action {
	case Copy:
		return t.Bytes()
	case Beside:
		if _, _, copied := t.Original(); copied {
			return t.Bytes()
		}
		return 0
	}
	if reads.Base && t.Base >= 0 {
		n += t.Reference.Tensors()[t.Base].Bytes()
	}
	for k, c := range t.Models {
		if from, i := p.Model(t, k); reads.Models && i >= 0 {
			n += from.Tensors()[i].Bytes()
		}
		if reads.Importance && c.Importance >= 0 {
			n += p.Importance[c.Model].Tensors()[c.Importance].Bytes()
		}
	}
	return n
}
