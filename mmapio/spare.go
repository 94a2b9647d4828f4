package mmapio

import (
	"runtime"
	"sync"
)

// Spare keeps what was used for whoever needs it next. It holds on to a few, a processor's worth each, through collections of garbage, which empty a
// [sync.Pool]: where nearly all memory is buffers, making them anew calls for the next collection. The zero value is ready for use.
type Spare[T any] struct {
	mu   sync.Mutex
	held []*T
	rest sync.Pool // of *T
}

// Get returns one, and nil if there is none.
func (s *Spare[T]) Get() *T {
	s.mu.Lock()
	if n := len(s.held); n > 0 {
		x := s.held[n-1]
		s.held[n-1], s.held = nil, s.held[:n-1]
		s.mu.Unlock()
		return x
	}
	s.mu.Unlock()
	x, _ := s.rest.Get().(*T)
	return x
}

// Put keeps one that takes so many bytes.
func (s *Spare[T]) Put(x *T, bytes int64) {
	s.mu.Lock()
	hold := int64(len(s.held)+1)*bytes <= int64(runtime.GOMAXPROCS(0))*heldBytes
	if hold {
		s.held = append(s.held, x)
	}
	s.mu.Unlock()
	if !hold {
		s.rest.Put(x)
	}
}

// heldBytes is what is held for each processor: a few pieces of a tensor.
const heldBytes = 2 << 20
