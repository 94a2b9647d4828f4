package fuse

import (
	"math/rand/v2"
	"sync"
	"testing"

	"weld/format"
)

// source is a checkpoint in memory: one operand for each tensor; no bytes where it
// lacks the tensor.
type source []Operand

func pack(dtype format.DType, x []float64) Operand {
	data := make([]byte, len(x)*dtype.Bits()/8)
	format.Encode(dtype, data, x)
	return Operand{dtype, data}
}

func unpack(o Operand) []float64 {
	x := make([]float64, len(o.Data)*8/o.DType.Bits())
	format.Decode(o.DType, x, o.Data)
	return x
}

// inputs are the operands of a merge in memory.
type inputs struct {
	jobs       List
	base       source
	models     []source
	importance []source
}

// drive runs a method as the engine does: spans of random lengths, shown to several
// workers in random order.
func (in *inputs) drive(t *testing.T, m Method, seed uint64) [][]byte {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 7))
	out := make([][]byte, len(in.jobs))
	for pass := m.Next(); pass != nil; pass = m.Next() {
		for job := range in.jobs {
			in.chain(t, r, job, pass.Chain(job), nil)
		}
		if pass.End != nil {
			if err := pass.End(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for job, j := range in.jobs {
		out[job] = make([]byte, j.Tiling.Elements()*int64(j.DType.Bits()/8))
		in.chain(t, r, job, m.Fuse(job), out[job])
	}
	return out
}

func (in *inputs) chain(t *testing.T, r *rand.Rand, job int, stages []Stage, out []byte) {
	t.Helper()
	for i, stage := range stages {
		tiling := in.jobs[job].Tiling
		if o, ok := stage.(Optional); ok && o.Idle() {
			continue
		}
		wide := int64(3)
		if s, ok := stage.(Sampling); ok {
			tiling, wide = s.Tiling(), 1
		}
		var spans []*Span
		for first := int64(0); first < tiling.Count(); {
			last := min(tiling.Count(), first+1+r.Int64N(wide))
			var dst []byte
			if i == len(stages)-1 {
				dst = out
			}
			spans = append(spans, in.cut(job, tiling, stage.Reads(), first, last, dst))
			first = last
		}
		r.Shuffle(len(spans), func(a, b int) { spans[a], spans[b] = spans[b], spans[a] })
		work := make(chan *Span, len(spans))
		for _, s := range spans {
			work <- s
		}
		close(work)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				var scratch Scratch
				for s := range work {
					if err := stage.Span(&scratch, s); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if err := stage.End(); err != nil {
			t.Fatal(err)
		}
	}
}

// span is a span of the tensor's own tiles.
func (in *inputs) span(job int, reads Reads, first, last int64, out []byte) *Span {
	return in.cut(job, in.jobs[job].Tiling, reads, first, last, out)
}

// cut cuts the operands that are read, and nothing else, to a span's elements.
func (in *inputs) cut(job int, tiling Tiling, reads Reads, first, last int64, out []byte) *Span {
	j := in.jobs[job]
	lo, _ := tiling.Range(first)
	_, hi := tiling.Range(last - 1)
	cut := func(s source, wanted bool) Operand {
		if !wanted || s == nil || s[job].Data == nil {
			return Operand{}
		}
		size := int64(s[job].DType.Bits() / 8)
		return Operand{s[job].DType, s[job].Data[lo*size : hi*size : hi*size]}
	}
	sp := &Span{Tiling: tiling, First: first, Last: last, Base: cut(in.base, reads.Base), OutDType: j.DType}
	for m := range in.models {
		sp.Models = append(sp.Models, cut(in.models[m], reads.Models))
		var importance source
		if m < len(in.importance) {
			importance = in.importance[m]
		}
		sp.Importance = append(sp.Importance, cut(importance, reads.Importance))
	}
	if out != nil {
		size := int64(j.DType.Bits() / 8)
		sp.Out = out[lo*size : hi*size]
	}
	return sp
}
