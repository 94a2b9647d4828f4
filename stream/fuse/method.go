package fuse

import (
	"weld/format"
	"weld/scoring"
)

// Jobs are the tensors of a merge. A description is made anew at each call, so that those of a million tensors
// need not be held.
type Jobs interface {
	Len() int
	Job(i int) Job
}

// List is Jobs that lie in memory.
type List []Job

func (l List) Len() int      { return len(l) }
func (l List) Job(i int) Job { return l[i] }

// Job is one output tensor as a method sees it.
type Job struct {
	Name   string
	Layer  string // the name up to the number of the layer that the tensor is in; "" for none
	Shape  []int64
	DType  format.DType // of the output
	Wide   bool         // combine in float64
	Tiling Tiling
	Based  bool // the base has the tensor too, and differences from it are to be taken
	// Unasked says that a model which lacks the tensor has no importance for it either, and none is asked for.
	Unasked bool
	Params  any            // values of the parameters that hold for all models: a pointer, of a type that the method knows
	Models  []Contribution // one for each model of the recipe
}

// Contribution is what one model brings to one tensor.
type Contribution struct {
	Params any // values of this model's parameters: a pointer, of a type that the method knows
	// Absent says that the model does not have the tensor.
	Absent bool
	// Importance says whether the model's importance file has the tensor.
	Importance bool
	Statistic  scoring.Statistic // what that file holds
}

// Reads says which operands a stage wants to see.
type Reads struct{ Base, Models, Importance bool }

// Or are the operands that either of two sees.
func (r Reads) Or(o Reads) Reads {
	return Reads{r.Base || o.Base, r.Models || o.Models, r.Importance || o.Importance}
}

// And are the operands that both see.
func (r Reads) And(o Reads) Reads {
	return Reads{r.Base && o.Base, r.Models && o.Models, r.Importance && o.Importance}
}

// Method is one merge in progress. The engine calls Next until it returns nil,
// walking the model once for each pass, and then walks it with Fuse. Methods keep
// the figures between passes. None of these calls is concurrent with another, but for Fuse, a
// pass's Chain and Cost's Job: many goroutines ask for the stages of different jobs at once, and no lock is held meanwhile.
type Method interface {
	// Next returns the next measuring pass, or nil when everything is known.
	Next() *Pass
	// Fuse returns the chain of stages for a job in the last pass. The last stage
	// fills Span.Out.
	Fuse(job int) []Stage
	// Reads says what the last pass reads at most.
	Reads() Reads
	// Results returns what the method found out about each job.
	Results() []Result
	// Expected is how many measuring passes Next will probably return.
	Expected() int
	// Cost bounds the memory that the method takes.
	Cost() Cost
}

// Pass is one measuring walk over the model.
type Pass struct {
	Name  string // what is measured, for people
	Reads Reads  // what the last stage of each chain reads
	// Chain returns the stages of a job in this pass; none if it is not needed.
	Chain func(job int) []Stage
	// End runs when all jobs are through.
	End func() error
}

// Stage is one walk over the tiles of one tensor.
type Stage interface {
	// Reads is constant.
	Reads() Reads
	// Span works on some of the tensor's tiles. It may be called from several
	// goroutines at once, with different spans and scratches.
	Span(*Scratch, *Span) error
	// End runs once, when all spans are through.
	End() error
}

// Optional is a stage that may turn out to have nothing to do, once the stages before it
// in its chain have ended, and is skipped then.
type Optional interface {
	Stage
	Skip() bool
}

// Likely is an optional stage that knows, before anything is measured, whether it will nearly always have something to do. Of others
// it is taken to have, unless one before it follows a sample, which is there so that they have not.
type Likely interface {
	Optional
	Likely() bool
}

// Sampling is a stage with a tiling of its own: some of the tensor only, or other tiles. Stages that
// follow one of all elements have tilings of their own too, or that of the tensor.
type Sampling interface {
	Stage
	Tiling() Tiling
}

// Cost is the memory of a method in bytes, beside views and output.
type Cost struct {
	Shared  int64               // for the whole run
	Scratch int64               // for each worker
	Job     func(job int) int64 // while a job's chain runs
}

// Result is what is known about a fused tensor at the end.
type Result struct {
	Models    []Selection
	Nonfinite int64 // results replaced or let through under the nonfinite policy
}

// Selection is one model's share in a fused tensor.
type Selection struct {
	Divisor   float32 // of the scores' normalisation
	Threshold float32 // normalised; 0 keeps everything with a positive score
	Kept      int64   // elements whose task vector was kept
	Elements  int64
	Global    bool // the threshold holds for the whole model
}

// Span is a run of tiles of one tensor with the operands that the stage reads.
type Span struct {
	Tiling      Tiling
	First, Last int64 // tiles [First, Last)
	Base        Operand
	Models      []Operand
	Importance  []Operand // empty where the model's file lacks the tensor
	Out         []byte    // to be filled by the last stage
	Outs        [][]byte  // instead, one for each method that works [Joint] with others
	OutDType    format.DType
	// Again says that the last stage has been through these tiles before, and has counted what is in them.
	Again bool
	Later Later // in an [EarlyPass], for the last stage
	// Changed has a bit for each element of a span of what was left, from the lowest of the first word on, for the stage that decides.
	Changed []uint64
}

// out is the output of a tile.
func (sp *Span) out(t Tile) []byte { return Operand{sp.OutDType, sp.Out}.Of(t) }

// Operand is the bytes of one source for a span.
type Operand struct {
	DType format.DType
	Data  []byte
}

// Tile is a range of a tensor's elements, small enough for all operands to stay in
// the cache.
type Tile struct {
	Index  int64 // in the tensor
	Lo, Hi int64 // elements of the tensor
	At     int   // elements from the start of the span
}

// Len is the number of elements.
func (t Tile) Len() int { return int(t.Hi - t.Lo) }

// Tiles yields the span's tiles in order.
func (s *Span) Tiles(yield func(Tile) bool) {
	start, _ := s.Tiling.Range(s.First)
	for i := s.First; i < s.Last; i++ {
		lo, hi := s.Tiling.Range(i)
		if !yield(Tile{Index: i, Lo: lo, Hi: hi, At: int(lo - start)}) {
			return
		}
	}
}

// Of is the operand's bytes for one tile.
func (o Operand) Of(t Tile) []byte {
	size := o.DType.Bits() / 8
	return o.Data[t.At*size : (t.At+t.Len())*size]
}
