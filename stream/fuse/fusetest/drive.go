// Package fusetest drives merge methods over tensors in memory, as the engine does, for tests: spans of random lengths,
// shown to several workers in random order.
package fusetest

import (
	"math/rand/v2"
	"sync"
	"testing"

	"weld/format"
	"weld/scoring"
	"weld/stream/fuse"
)

// Weights is a checkpoint in memory: one operand for each tensor; no bytes where it
// lacks the tensor.
type Weights []fuse.Operand

// Pack encodes values.
func Pack(dtype format.DType, x []float64) fuse.Operand {
	data := make([]byte, len(x)*dtype.Bits()/8)
	format.Encode(dtype, data, x)
	return fuse.Operand{DType: dtype, Data: data}
}

// Unpack decodes an operand.
func Unpack(o fuse.Operand) []float64 {
	x := make([]float64, len(o.Data)*8/o.DType.Bits())
	format.Decode(o.DType, x, o.Data)
	return x
}

// Merge is the operands of a merge in memory.
type Merge struct {
	Jobs       fuse.List
	Base       Weights
	Models     []Weights
	Importance []Weights

	later *left // of an early pass that is driven
}

// Drive runs a method and returns the output of every job. A seed decides how spans are cut and who works on them. No worker
// may take more scratch than the method's cost says.
func (in *Merge) Drive(t *testing.T, m fuse.Method, seed uint64) [][]byte {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 7))
	out := make([][]byte, len(in.Jobs))
	planned := m.Cost().Scratch
	for job, j := range in.Jobs {
		out[job] = make([]byte, j.Tiling.Elements()*int64(j.DType.Bits()/8))
	}
	for {
		for pass := m.Next(); pass != nil; pass = m.Next() {
			for job := range in.Jobs {
				checkScratch(t, in.Jobs[job], in.Chain(t, r, job, pass.Chain(job), nil), planned)
			}
			if pass.End != nil {
				if err := pass.End(); err != nil {
					t.Fatal(err)
				}
			}
		}
		early := earlyPass(m)
		if early == nil {
			break
		}
		if in.driveEarly(t, r, early, out, planned) {
			return out
		}
	}
	for job := range in.Jobs {
		checkScratch(t, in.Jobs[job], in.Chain(t, r, job, m.Fuse(job), out[job]), planned)
	}
	return out
}

// checkScratch compares what a worker took with what was planned. Every cost has the counts of one histogram in it, which
// would hide many tiles where none is made.
func checkScratch(t *testing.T, j fuse.Job, taken Scratch, planned int64) {
	t.Helper()
	if taken.Counts == 0 {
		planned -= scoring.CountsBytes
	}
	if all := taken.Tiles + taken.Counts; all > planned {
		t.Errorf("%s, %v, of %d models: a worker took %d bytes of scratch, and the method's cost says %d: it takes more tiles than it says", j.Name, j.Shape, len(j.Models), all, planned)
	}
}

// Scratch is the most bytes that a worker took of each kind.
type Scratch struct{ Tiles, Counts int64 }

// add raises the maxima to what a worker has taken.
func (most *Scratch) add(s *fuse.Scratch) {
	tiles, counts := s.Taken()
	most.Tiles, most.Counts = max(most.Tiles, tiles), max(most.Counts, counts)
}

// Chain takes a job through stages; the last one fills out. It returns what a worker took at most.
func (in *Merge) Chain(t *testing.T, r *rand.Rand, job int, stages []fuse.Stage, out []byte) (most Scratch) {
	t.Helper()
	var mu sync.Mutex
	for i, stage := range stages {
		tiling := in.Jobs[job].Tiling
		if o, ok := stage.(fuse.Optional); ok && o.Skip() {
			continue
		}
		wide := int64(3)
		if s, ok := stage.(fuse.Sampling); ok {
			tiling, wide = s.Tiling(), 1
		}
		var spans []*fuse.Span
		for first := int64(0); first < tiling.Count(); {
			last := min(tiling.Count(), first+1+r.Int64N(wide))
			var dst []byte
			if i == len(stages)-1 {
				dst = out
			}
			spans = append(spans, in.Cut(job, tiling, stage.Reads(), first, last, dst))
			first = last
		}
		r.Shuffle(len(spans), func(a, b int) { spans[a], spans[b] = spans[b], spans[a] })
		work := make(chan *fuse.Span, len(spans))
		for _, s := range spans {
			work <- s
		}
		close(work)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				var scratch fuse.Scratch
				for s := range work {
					if out != nil && i == len(stages)-1 {
						s.Later = in.later
					}
					if err := stage.Span(&scratch, s); err != nil {
						t.Error(err)
					}
				}
				mu.Lock()
				defer mu.Unlock()
				most.add(&scratch)
			})
		}
		wg.Wait()
		if err := stage.End(); err != nil {
			t.Fatal(err)
		}
	}
	return most
}

// Span is a span of the tensor's own tiles.
func (in *Merge) Span(job int, reads fuse.Reads, first, last int64, out []byte) *fuse.Span {
	return in.Cut(job, in.Jobs[job].Tiling, reads, first, last, out)
}

// Cut cuts the operands that are read, and nothing else, to a span's elements.
func (in *Merge) Cut(job int, tiling fuse.Tiling, reads fuse.Reads, first, last int64, out []byte) *fuse.Span {
	j := in.Jobs[job]
	lo, _ := tiling.Range(first)
	_, hi := tiling.Range(last - 1)
	cut := func(s Weights, wanted bool) fuse.Operand {
		if !wanted || s == nil || s[job].Data == nil {
			return fuse.Operand{}
		}
		size := int64(s[job].DType.Bits() / 8)
		return fuse.Operand{DType: s[job].DType, Data: s[job].Data[lo*size : hi*size : hi*size]}
	}
	sp := &fuse.Span{Tiling: tiling, First: first, Last: last, Base: cut(in.Base, reads.Base), OutDType: j.DType}
	for m := range in.Models {
		sp.Models = append(sp.Models, cut(in.Models[m], reads.Models))
		var importance Weights
		if m < len(in.Importance) {
			importance = in.Importance[m]
		}
		sp.Importance = append(sp.Importance, cut(importance, reads.Importance))
	}
	if out != nil {
		size := int64(j.DType.Bits() / 8)
		sp.Out = out[lo*size : hi*size]
	}
	return sp
}

// FuseOnce takes a merge of one tensor through all passes in one span each, and returns the values or the error of the first
// stage that fails.
func (in *Merge) FuseOnce(m fuse.Method) ([]float64, error) {
	for pass := m.Next(); pass != nil; pass = m.Next() {
		for _, st := range pass.Chain(0) {
			if err := st.Span(new(fuse.Scratch), in.Span(0, st.Reads(), 0, 1, nil)); err != nil {
				return nil, err
			}
			if err := st.End(); err != nil {
				return nil, err
			}
		}
		if pass.End != nil {
			if err := pass.End(); err != nil {
				return nil, err
			}
		}
	}
	out := make([]byte, len(in.Base[0].Data))
	for _, st := range m.Fuse(0) {
		if o, ok := st.(fuse.Optional); ok && o.Skip() {
			continue
		}
		if err := st.Span(new(fuse.Scratch), in.Span(0, st.Reads(), 0, 1, out)); err != nil {
			return nil, err
		}
		if err := st.End(); err != nil {
			return nil, err
		}
	}
	return Unpack(fuse.Operand{DType: in.Jobs[0].DType, Data: out}), nil
}
