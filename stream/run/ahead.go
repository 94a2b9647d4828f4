package run

import (
	"sync"

	"weld/mmapio"
	"weld/stream/fuse"
)

// Bytes of the inputs that the system is asked to read before a worker wants them: all
// inputs together at most, and at a time.
const (
	aheadBytes = 64 << 20
	aheadStep  = 8 << 20
)

// readAhead has the inputs of a walk read in the order of their bytes, across tensors, a bounded
// way ahead of the workers: what a page cache cannot hold until it is wanted would be read twice. It is advice: a mistake costs time only.
type readAhead struct {
	walk *walk

	mu     sync.Mutex
	of     Tensor
	tensor int   // the first that was not announced whole
	at     int64 // its first element that was not
	lead   int64 // bytes that were announced and not taken
}

// begins says that a worker has begun with an item.
func (r *readAhead) begins(it item, at elements) {
	switch {
	case it.tiling.IsSparse():
	case it.stage == 0:
		r.mu.Lock()
		defer r.mu.Unlock()
		r.took(it, at)
		r.announce()
	case r.walk.config.Budget.Drop:
		r.again(it.task, it.stages[it.stage].Reads(), at)
	}
}

// begun says that a worker has begun with an item that nothing is announced for: small tensors follow each other so fast that
// it would cost more than it brings.
func (r *readAhead) begun(it item, at elements) {
	if it.stage == 0 && !it.tiling.IsSparse() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.took(it, at)
	}
}

// took takes account of an item that a worker has begun with.
func (r *readAhead) took(it item, at elements) {
	if it.tensor > r.tensor || it.tensor == r.tensor && at.lo >= r.at {
		r.tensor, r.at, r.lead = it.tensor, at.lo, 0 // what was passed over need not be announced
	} else {
		r.lead -= (at.hi - at.lo) * r.width(&it.of)
	}
}

// width is the size of an element of what is read and written.
func (r *readAhead) width(t *Tensor) int64 {
	return max(1, t.elementBytes(r.walk.reads, r.walk.config.Sinks))
}

// announce goes on until enough is announced.
func (r *readAhead) announce() {
	all, ahead := r.walk.config.Tensors, r.walk.config.Budget.Ahead
	for r.lead < ahead && r.tensor < all.Len() {
		if all.Describe(r.tensor, &r.of); r.of.copied() && !r.walk.writes() {
			r.tensor, r.at = r.tensor+1, 0
			continue
		}
		elements := r.of.tiling().Elements()
		if r.at == elements {
			r.tensor, r.at = r.tensor+1, 0
			continue
		}
		width := r.width(&r.of)
		n := min(elements-r.at, max(1, min(aheadStep, ahead-max(0, r.lead))/width))
		r.of.advise(mmapio.Soon, r.walk.reads, r.at, r.at+n)
		r.at += n
		r.lead += n * width
	}
}

// again announces what a later stage of a tensor will want next of what had to leave the page cache before it.
func (r *readAhead) again(t *task, reads fuse.Reads, at elements) {
	width := t.of.operandBytes(reads)
	if width == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	from, to := at.hi, min(t.tiling.Elements(), at.hi+min(aheadStep, r.walk.config.Budget.Ahead/2)/width)
	if t.announced.stage == t.stage {
		from = max(from, t.announced.to)
	}
	t.announced.stage, t.announced.to = t.stage, max(from, to)
	if from < to {
		t.of.advise(mmapio.Soon, reads, from, to)
	}
}
