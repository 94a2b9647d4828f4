package fusetest

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"weld/stream/fuse"
)

// left is what an early pass has left, by job.
type left struct {
	mu   sync.Mutex
	job  int
	jobs [][]leftTile
	most int // elements that there is room for; 0 for any number
}

// leftTile is what is left of a tile.
type leftTile struct {
	at   []int64 // elements of the tensor
	span fuse.Span
}

var errFull = errors.New("more is left than there is room for")

// Leave implements [fuse.Later].
func (l *left) Leave(sp *fuse.Span, t fuse.Tile, at []uint32) error {
	var x leftTile
	for _, i := range at {
		x.at = append(x.at, t.Lo+int64(i))
	}
	gather := func(o fuse.Operand) fuse.Operand {
		if o.Data == nil {
			return o
		}
		size := o.DType.Bits() / 8
		all, g := o.Of(t), fuse.Operand{DType: o.DType}
		for _, i := range at {
			g.Data = append(g.Data, all[int(i)*size:(int(i)+1)*size]...)
		}
		return g
	}
	x.span = fuse.Span{Tiling: fuse.NewTiling(int64(len(at)), 1), Last: 1, Base: gather(sp.Base), OutDType: sp.OutDType}
	for m := range sp.Models {
		x.span.Models = append(x.span.Models, gather(sp.Models[m]))
		x.span.Importance = append(x.span.Importance, gather(sp.Importance[m]))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.jobs[l.job] = append(l.jobs[l.job], x)
	if l.most > 0 && len(l.jobs[l.job]) > l.most {
		return errFull
	}
	return nil
}

// earlyPass is the early pass of a method, if it has one.
func earlyPass(m fuse.Method) *fuse.EarlyPass {
	if e, ok := m.(fuse.Early); ok {
		return e.Early()
	}
	return nil
}

// Left counts the elements that the last early pass left.
func (in *Merge) Left() (n int) {
	if in.later != nil {
		for _, tiles := range in.later.jobs {
			for _, x := range tiles {
				n += len(x.at)
			}
		}
	}
	return n
}

// driveEarly fills the outputs in an early pass; false if that was in vain.
func (in *Merge) driveEarly(t *testing.T, r *rand.Rand, p *fuse.EarlyPass, out [][]byte, planned int64) bool {
	t.Helper()
	in.later = &left{jobs: make([][]leftTile, len(in.Jobs))}
	for job := range in.Jobs {
		in.later.job = job
		checkScratch(t, in.Jobs[job], in.Chain(t, r, job, p.Chain(job), out[job]), planned)
	}
	if err := p.End(); err != nil {
		t.Fatal(err)
	}
	if !p.Decided() {
		return false
	}
	for job, tiles := range in.later.jobs {
		stage, size := p.Decide(job), in.Jobs[job].DType.Bits()/8
		for _, x := range tiles {
			x.span.Out, x.span.Changed = make([]byte, len(x.at)*size), make([]uint64, (len(x.at)+63)/64)
			if err := stage.Span(new(fuse.Scratch), &x.span); err != nil {
				t.Fatal(err)
			}
			for k, i := range x.at {
				if x.span.Changed[k/64]>>(k%64)&1 == 0 {
					continue
				}
				copy(out[job][int(i)*size:], x.span.Out[k*size:(k+1)*size])
			}
		}
	}
	return true
}
