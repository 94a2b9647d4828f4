package run

import (
	"weld/format"
	"weld/mmapio"
	"weld/stream/fuse"
)

// Config is a run in full.
type Config struct {
	Tensors  Tensors
	Method   fuse.Method
	Budget   Budget
	Progress *Progress // nil for none
	// Block is how many bytes the sinks code at once, in order: a worker that brings many more would wait for
	// those before it. 0 where the bytes go to their place as they are.
	Block int64
	// ReadBytes is what the pass that fuses reads; 0 where nobody has counted.
	ReadBytes int64
	// Sinks is how many outputs the method fills; 0 counts as 1.
	Sinks int
}

// Tensors are those of a run, in the order of the output's bytes. A description is made anew at each call, so that
// those of a million tensors need not be held. Its methods may be called from any goroutine.
type Tensors interface {
	Len() int
	// Job is the method's number of tensor i; false where its bytes are copied.
	Job(i int) (job int, fused bool)
	// Describe fills in t, whose slices it may use again.
	Describe(i int, t *Tensor)
}

// Tensor is one tensor of the output, and its operands.
type Tensor struct {
	DType    format.DType // of the output
	Elements int64
	RowLen   int64
	Bytes    int64 // of the output

	Copied     Stored // where its bytes are copied from, if the method does not make them
	Base       Stored
	Models     []Stored
	Importance []Stored // one for each of the models
}

// Stored is a tensor of an opened checkpoint. There is none where From is nil.
type Stored struct {
	From  format.Checkpoint
	Index int
}

// dtype is the type in which a stage sees the operand.
func (o Stored) dtype() format.DType { return unit(o.From.Tensors()[o.Index].DType) }

// bytes is the size of the whole operand.
func (o Stored) bytes() int64 { return o.From.Tensors()[o.Index].Bytes() }

// Sink takes the bytes of one output's tensors, each once. Its methods may be called from any goroutine.
type Sink interface {
	WriteAt(tensor int, off int64, p []byte) error
	// CopyAt copies bytes without passing them through the process, or fails with errors.ErrUnsupported.
	CopyAt(tensor int, off int64, src *mmapio.File, from, n int64) error
	// Abort wakes calls that wait for earlier bytes.
	Abort(cause error)
}

// Measuring is a sink that sees some tensors whole before it is given the first of their bytes, such as one that stores values by a
// scale of all of them. The last stage of such a tensor is gone through twice.
type Measuring interface {
	Sink
	// Measures reports whether it sees a tensor first.
	Measures(tensor int) bool
	// Measure is shown what WriteAt will be given, each byte once. The last call for a tensor returns before the first of WriteAt.
	Measure(tensor int, off int64, p []byte) error
}

// Collecting is a sink that collects the bytes of some tensors, such as one that stores values as codes. It is given them a part at a time,
// while they lie in the cache.
type Collecting interface {
	Sink
	// Collects reports whether it collects those of a tensor.
	Collects(tensor int) bool
	// Lend lends memory for bytes from off on, for n at most; nil for none. WriteAt is given it, or a part of it from the beginning, when it is filled in.
	Lend(tensor int, off, n int64) []byte
}

// copied reports whether the tensor's bytes are copied.
func (t *Tensor) copied() bool { return t.Copied.From != nil }

// tiling cuts the tensor into tiles; one that is not computed with into tiles of bytes.
func (t *Tensor) tiling() fuse.Tiling {
	if t.copied() || !t.DType.Computable() {
		return fuse.NewTiling(t.Bytes, 1)
	}
	return fuse.NewTiling(t.Elements, t.RowLen)
}

// tileElements is the size of a tensor's first tile, which is its largest.
func tileElements(t fuse.Tiling) int64 {
	if t.Count() == 0 {
		return 0
	}
	lo, hi := t.Range(0)
	return hi - lo
}

// allReads are all operands that there can be.
var allReads = fuse.Reads{Base: true, Models: true, Importance: true}

// eachOperand visits those that are read.
func (t *Tensor) eachOperand(reads fuse.Reads, visit func(Stored)) {
	if reads.Base && t.Base.From != nil {
		visit(t.Base)
	}
	for m := range t.Models {
		if reads.Models && t.Models[m].From != nil {
			visit(t.Models[m])
		}
		if reads.Importance && t.Importance[m].From != nil {
			visit(t.Importance[m])
		}
	}
}

// elementBytes is the size of an element of every operand that is read, and of so many outputs. A copied tensor is
// counted in bytes.
func (t *Tensor) elementBytes(reads fuse.Reads, sinks int) int64 {
	if t.copied() {
		return 1
	}
	bits := unit(t.DType).Bits() * max(1, sinks)
	t.eachOperand(reads, func(o Stored) { bits += o.dtype().Bits() })
	return int64(bits / 8)
}

// operandBytes is the size of an element of every operand that is read.
func (t *Tensor) operandBytes(reads fuse.Reads) int64 {
	bits := 0
	t.eachOperand(reads, func(o Stored) { bits += o.dtype().Bits() })
	return int64(bits / 8)
}

// inPieces reports whether views of an operand are best small.
func (t *Tensor) inPieces(reads fuse.Reads) (any bool) {
	t.eachOperand(reads, func(o Stored) { any = any || format.InPieces(o.From, o.Index) })
	return any
}

// ReadBytes is the size of the operands that are read.
func (t *Tensor) ReadBytes(reads fuse.Reads) (n int64) {
	if t.copied() {
		return t.Bytes
	}
	t.eachOperand(reads, func(o Stored) { n += o.bytes() })
	return n
}

// advise tells the system about elements [lo, hi) of the operands.
func (t *Tensor) advise(a mmapio.Advice, reads fuse.Reads, lo, hi int64) {
	if t.copied() {
		format.Advise(t.Copied.From, a, t.Copied.Index, lo, hi-lo)
		return
	}
	t.eachOperand(reads, func(o Stored) {
		size := int64(o.dtype().Bits() / 8)
		format.Advise(o.From, a, o.Index, lo*size, (hi-lo)*size)
	})
}

// unit is the type in which a stage sees a tensor: one that weld does not compute
// with is a run of bytes.
func unit(d format.DType) format.DType {
	if d.Computable() {
		return d
	}
	return format.U8
}
