package plan

import (
	"cmp"
	"slices"

	"weld/format"
	"weld/format/quant"
	"weld/stream/fuse"
	"weld/stream/recipe"
)

// Plan is a merge that can be run: everything is known but the numbers. It says what becomes of every tensor, and
// nothing in it changes while it is run.
type Plan struct {
	Recipe *recipe.Recipe
	Inputs
	Tensors []Tensor // in the order of the output's bytes
	Output  *Output  // nil if nothing is to be written
	Notes   []string // what a user should know before it runs
	Costs   Costs
	LeftOut int     // tensors of a model that is converted which the output is not to have
	Early   bool    // the output can be filled in the walk that finds thresholds; see [fuse.Early]
	fused   []int32 // indexes of the tensors that the method makes
}

// Costs are what running a plan takes, as far as that depends on nothing but the plan.
type Costs struct {
	Passes    int // walks over the inputs, the last included; a search for a quantile may take one more
	Reads     fuse.Reads
	ReadBytes int64 // in the last pass
	// AgainBytes are those of them that are gone through twice: all values of a tensor are looked at before the first is stored by a scale of all.
	// What is kept within the memory is not read again.
	AgainBytes int64
	Held       int64 // bytes of headers, names and plan
	// Rewrites is the share of the output that is probably read and written again, since thresholds are found while it is written.
	Rewrites float64
}

// Tensor is one tensor of the output and where it comes from.
type Tensor struct {
	format.Tensor
	*Origins
	Models []ModelTensor
	Index  int32 // in From
	Base   int32 // in Reference; −1 for none
	Action Action

	AsStored bool // made in the order of the codes, which is not the one that values are shown in

	unknown bool // importance of a model that lacks the tensor: it takes no part in what is weighed by it
	behind  bool // stands directly behind the tensor before: what is made with codes, and is written after them
}

// Origins are what many tensors have in common.
type Origins struct {
	From      *Input        // whose type the tensor takes, and of a copied tensor the bytes
	Reference *Input        // what differences are taken from: the base, or that of the slice
	Shared    recipe.Values // parameters that hold for all models
}

// ModelTensor is what one model brings to a tensor.
type ModelTensor struct {
	*ModelShare
	Index      int32 // of the tensor there, or absent, or supplied
	Importance int32 // index in the model's importance file; −1 for none
}

// ModelShare is what it brings to many tensors.
type ModelShare struct {
	Model  int // index in the plan's models
	Params recipe.Values
}

// Values of ModelTensor.Index that are no index.
const (
	absent   = -1 // the model does not have the tensor and takes no part
	supplied = -2 // it stands in the output's own source, which the model is read as having too
)

// Action is what happens to a tensor.
type Action uint8

const (
	// Fuse combines it.
	Fuse Action = iota
	// Copy takes its bytes from one source.
	Copy
	// Encode combines it, and stores the values as codes.
	Encode
	// Beside belongs to a tensor that is encoded. Index is negative for what is made with the codes, such as scales; else it is that of
	// the tensor it is a copy of, in the checkpoint that From shows the values of.
	Beside
)

func (a Action) String() string { return [...]string{"fuse", "copy", "encode", "beside"}[a] }

// Values describes the tensor as the method makes it; what is written is other than that, where it is encoded.
func (t *Tensor) Values() format.Tensor {
	if t.Action != Encode {
		return t.Tensor
	}
	values := t.From.Tensors()[t.Index]
	values.Name, values.DType, values.Stored = t.Name, format.F32, format.Invalid
	return values
}

// Original is the tensor that one beside codes is a copy of; false for what is made with them.
func (t *Tensor) Original() (from format.Checkpoint, index int, ok bool) {
	if t.Action != Beside || t.Index < 0 {
		return nil, 0, false
	}
	return t.From.Checkpoint.(*quant.Decoded).Unwrap(), int(t.Index), true
}

// Model is where the k-th model's tensor is read; −1 where the model takes no part.
func (p *Plan) Model(t *Tensor, k int) (*Input, int) {
	c := t.Models[k]
	if c.Index == supplied {
		return t.From, int(t.Index)
	}
	return p.Models[c.Model], int(c.Index)
}

// Fused is how many tensors the method makes.
func (p *Plan) Fused() int { return len(p.fused) }

// Copied is how many tensors are copied.
func (p *Plan) Copied() (n int) {
	for i := range p.Tensors {
		if p.Tensors[i].Action == Copy {
			n++
		}
	}
	return n
}

// Job is the method's number of a tensor; false if its bytes are copied.
func (p *Plan) Job(tensor int) (job int, fused bool) {
	return slices.BinarySearch(p.fused, int32(tensor))
}

// Made is the tensor of a job.
func (p *Plan) Made(job int) *Tensor { return &p.Tensors[p.fused[job]] }

// Largest returns the biggest tensors, for display.
func (p *Plan) Largest(n int) []Tensor {
	var list []Tensor
	larger := func(a, b Tensor) int { return cmp.Compare(b.Bytes(), a.Bytes()) }
	for _, t := range p.Tensors {
		if len(list) == n && larger(t, list[n-1]) >= 0 {
			continue
		}
		list = append(list, t)
		slices.SortStableFunc(list, larger)
		list = list[:min(n, len(list))]
	}
	return list
}
