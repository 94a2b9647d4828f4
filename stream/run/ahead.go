package run

import (
	"sync"

	"weld/mmapio"
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
	of     Tensor
	tensor int   // the first that was not announced whole
	at     int64 // its first element that was not
	lead   int64 // bytes that were announced and not taken
}

// took says that a worker has begun with so many bytes.
func (r *readAhead) took(bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.walk.config.Tensors
	for r.lead -= bytes; r.lead < aheadBytes && r.tensor < all.Len(); {
		if all.Describe(r.tensor, &r.of); r.of.copied() && !r.walk.writes() {
			r.tensor, r.at = r.tensor+1, 0
			continue
		}
		elements := r.of.tiling().Elements()
		if r.at == elements {
			r.tensor, r.at = r.tensor+1, 0
			continue
		}
		width := max(1, r.of.elementBytes(r.walk.reads, r.walk.config.Sinks))
		n := min(elements-r.at, max(1, aheadStep/width))
		r.of.advise(mmapio.Soon, r.walk.reads, r.at, r.at+n)
		r.at += n
		r.lead += n * width
	}
}
