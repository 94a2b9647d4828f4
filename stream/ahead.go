package stream

import (
	"sync"

	"weld/format"
	"weld/mmapio"
	"weld/stream/fuse"
)

// Bytes of the inputs that the system is asked to read before a worker wants them: all
// inputs together, and at a time.
const (
	aheadBytes = 64 << 20
	aheadStep  = 8 << 20
)

// readAhead has the inputs of a walk read in the order of their bytes, across tensors, a bounded
// way ahead of the workers. It is advice: a mistake costs time only.
type readAhead struct {
	walk *walk

	mu     sync.Mutex
	tensor int   // the first that was not announced whole
	at     int64 // its first element that was not
	lead   int64 // bytes that were announced and not taken
}

// took says that a worker has begun with so many bytes.
func (r *readAhead) took(bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.walk.plan
	for r.lead -= bytes; r.lead < aheadBytes && r.tensor < len(p.Tensors); {
		t := &p.Tensors[r.tensor]
		elements := t.tiling().Elements()
		if r.at == elements || t.Action == Copy && !r.walk.writes() {
			r.tensor, r.at = r.tensor+1, 0
			continue
		}
		width := max(1, p.elementBytes(t, r.walk.reads))
		n := min(elements-r.at, max(1, aheadStep/width))
		p.advise(mmapio.Soon, t, r.walk.reads, r.at, r.at+n)
		r.at += n
		r.lead += n * width
	}
}

// advise tells the system about elements [lo, hi) of a tensor's operands.
func (p *Plan) advise(a mmapio.Advice, t *Output, reads fuse.Reads, lo, hi int64) {
	if t.Action == Copy {
		format.Advise(t.from.Checkpoint, a, int(t.index), lo, hi-lo)
		return
	}
	p.eachOperand(t, reads, func(s *Source, i int) {
		size := int64(unit(s.Tensors()[i].DType).Bits() / 8)
		format.Advise(s.Checkpoint, a, i, lo*size, (hi-lo)*size)
	})
}
