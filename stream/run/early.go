package run

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"

	"weld/mmapio"
	"weld/stream/fuse"
)

// This file fuses in the walk that finds thresholds: see [fuse.Early]. The elements that are left wait in a scratch file, and are
// written into the output in a walk over that file alone.

// Rewriting is a sink that can be read and written to again.
type Rewriting interface {
	Sink
	// Scratch makes a file that is gone when it is closed.
	Scratch() (mmapio.OutputFile, error)
	// Rewrite says that bytes will be given again, from now on.
	Rewrite()
	// ReadAt reads bytes of a tensor that it was given.
	ReadAt(tensor int, off int64, p []byte) error
}

// Figures of the walk over what was left.
const (
	leftLimit = 1 << 26 // bytes that may be left of anything, beside an eighth of what is read
	patchGap  = 8 << 10 // bytes between elements that are written together
)

// early is the pass that comes next, if there is one.
func (r *Runner) early() *fuse.EarlyPass {
	if m, ok := r.config.Method.(fuse.Early); ok {
		return m.Early()
	}
	return nil
}

// fuseEarly fills a sink in an early pass; done is false where that was in vain.
func (r *Runner) fuseEarly(ctx context.Context, p *fuse.EarlyPass, sinks []Sink) (done bool, err error) {
	var sink Rewriting
	if len(sinks) == 1 {
		sink, _ = sinks[0].(Rewriting)
	}
	if sink == nil {
		p.GiveUp()
		return false, nil
	}
	w := &walk{name: p.Name, reads: p.Reads, chain: p.Chain, sinks: sinks, total: r.config.ReadBytes, final: true, left: &left{scratch: sink.Scratch}}
	defer func() {
		if e := w.left.close(); e != nil {
			err = errors.Join(err, e)
		}
	}()
	w.left.limit = leftLimit + r.config.ReadBytes/8
	err = r.pass(ctx, w, r.passes+1)
	for _, worker := range r.workers {
		if err == nil {
			err = worker.leaving.flush()
		}
		worker.leaving = leaving{}
	}
	sink.Rewrite()
	switch {
	case ctx.Err() == nil && (errors.Is(err, errLeft) || w.left.crowds(err)):
		p.GiveUp()
		return false, nil
	case err != nil:
		return false, err
	}
	if err := p.End(); err != nil {
		return false, err
	}
	if !p.Decided() {
		return false, nil
	}
	switch err := r.decide(ctx, p, w.left, sink); {
	case err == nil:
		r.left = w.left.elements
		return true, nil
	case ctx.Err() == nil && w.left.crowds(err):
		p.GiveUp()
		return false, nil
	default:
		return false, err
	}
}

// decide writes what was left.
func (r *Runner) decide(ctx context.Context, p *fuse.EarlyPass, from *left, sink Rewriting) error {
	if from.end == 0 {
		return nil
	}
	r.config.Progress.Begin(Phase{Name: "decide", Index: r.passes, Count: r.passes, Bytes: from.end})
	d := &decision{Runner: r, pass: p, left: from, sink: sink}
	begun := make(chan *worker, len(r.workers))
	for _, w := range r.workers {
		begun <- w
	}
	return Workers(ctx, len(r.workers), sink.Abort, func(ctx context.Context) error {
		w := decider{decision: d, worker: <-begun, patch: patch{sink: sink}}
		for ctx.Err() == nil {
			if more, err := w.block(); !more || err != nil {
				return err
			}
		}
		return nil
	})
}

// decision is a walk over what was left.
type decision struct {
	*Runner
	pass *fuse.EarlyPass
	left *left
	sink Rewriting
	mu   sync.Mutex // held while the method is asked for a stage
}

// decider is one worker's share of it.
type decider struct {
	*decision
	*worker
	data   []byte // the block
	tensor int    // of stage; what was described last
	of     Tensor
	stage  fuse.Stage
	out    []byte // of a record
	patch  patch
}

// block decides what the next block has.
func (d *decider) block() (more bool, err error) {
	if d.data, err = d.left.read(d.data); err != nil || d.data == nil {
		return false, err
	}
	d.stage = nil
	rest := d.data
	for len(rest) > 0 && err == nil {
		rest, err = d.record(rest)
	}
	if err == nil {
		err = d.patch.write()
	}
	d.config.Progress.Advance(int64(len(d.data)))
	return true, err
}

// record decides the first of some records, and returns the others.
func (d *decider) record(p []byte) (rest []byte, err error) {
	le := binary.LittleEndian
	n := int(le.Uint32(p[4:]))
	lo, item := int64(le.Uint64(p[8:])), int64(le.Uint64(p[16:]))
	if tensor := int(le.Uint32(p)); d.stage == nil || tensor != d.tensor {
		d.enter(tensor)
	}
	places := p[leftHeader : leftHeader+2*n]
	rest = d.operands(p[leftHeader+2*n:], n)
	size := unit(d.of.DType).Bits() / 8
	sp := &d.span
	sp.Tiling, sp.First, sp.Last = fuse.NewTiling(int64(n), 1), 0, 1
	sp.OutDType, sp.Outs, sp.Again, sp.Later = d.of.DType, nil, false, nil
	sp.Out = slices.Grow(d.out[:0], n*size)[:n*size]
	d.out = sp.Out
	words := (n + 63) / 64
	sp.Changed = slices.Grow(sp.Changed[:0], words)[:words]
	clear(sp.Changed)
	if err := d.stage.Span(&d.scratch, sp); err != nil {
		if e := (*fuse.NonfiniteError)(nil); errors.As(err, &e) && e.Index < int64(n) {
			e.Index = lo + int64(le.Uint16(places[2*e.Index:]))
		}
		return nil, err
	}
	for i := range n {
		if sp.Changed[i/64]>>(i%64)&1 == 0 {
			continue
		}
		if err := d.patch.add(patched{d.tensor, item}, lo+int64(le.Uint16(places[2*i:])), sp.Out[i*size:(i+1)*size]); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

// enter asks the method for the stage of a tensor.
func (d *decider) enter(tensor int) {
	d.config.Tensors.Describe(tensor, &d.of)
	job, _ := d.config.Tensors.Job(tensor)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tensor, d.stage = tensor, d.pass.Decide(job)
}

// operands finds those of a record of n elements.
func (d *decider) operands(p []byte, n int) (rest []byte) {
	reads := d.stage.Reads()
	next := func(o Stored, read bool) fuse.Operand {
		if !read || o.From == nil {
			return fuse.Operand{}
		}
		bytes := n * o.dtype().Bits() / 8
		data := p[:bytes:bytes]
		p = p[bytes:]
		return fuse.Operand{DType: o.dtype(), Data: data}
	}
	sp := &d.span
	sp.Base = next(d.of.Base, reads.Base)
	sp.Models, sp.Importance = sp.Models[:0], sp.Importance[:0]
	for m := range d.of.Models {
		sp.Models = append(sp.Models, next(d.of.Models[m], reads.Models))
		sp.Importance = append(sp.Importance, next(d.of.Importance[m], reads.Importance))
	}
	return p
}

// patch is elements of one item, close to each other, which are written together. Nobody else writes between them.
type patch struct {
	sink   Rewriting
	of     patched
	size   int64 // bytes of an element
	places []int64
	values []byte
	bytes  []byte // of the output, from the first place to the last
}

// patched is an item.
type patched struct {
	tensor int
	item   int64
}

// add adds an element. What does not belong together with it is written.
func (p *patch) add(of patched, place int64, value []byte) error {
	if n := len(p.places); n > 0 && (of != p.of || (place-p.places[n-1])*p.size > patchGap) {
		if err := p.write(); err != nil {
			return err
		}
	}
	p.of, p.size = of, int64(len(value))
	p.places, p.values = append(p.places, place), append(p.values, value...)
	return nil
}

// write writes the elements, if one differs from what is there.
func (p *patch) write() error {
	if len(p.places) == 0 {
		return nil
	}
	first, last := p.places[0], p.places[len(p.places)-1]
	n := int((last - first + 1) * p.size)
	p.bytes = slices.Grow(p.bytes[:0], n)[:n]
	if err := p.sink.ReadAt(p.of.tensor, first*p.size, p.bytes); err != nil {
		return err
	}
	differs := false
	for i, place := range p.places {
		value, there := p.values[int64(i)*p.size:int64(i+1)*p.size], p.bytes[(place-first)*p.size:][:p.size]
		differs = differs || !bytes.Equal(value, there)
		copy(there, value)
	}
	p.places, p.values = p.places[:0], p.values[:0]
	if !differs {
		return nil
	}
	return p.sink.WriteAt(p.of.tensor, first*p.size, p.bytes)
}
