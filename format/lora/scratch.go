package lora

import (
	"slices"
	"sync"
	"unsafe"

	"weld/format"
	"weld/internal/vec"
)

// scratchPool has what tensors of one type are computed with: scratch memory, and parts of the
// adapter that are held whole. It holds no more of each than there ever were
// computations at once, since a view's cost counts those of one.
type scratchPool[T vec.Float] struct {
	adapter format.Checkpoint
	needs   needs // the largest of all computations
	used    bool

	mu     sync.Mutex
	inside int // computations
	peak   int // most at once
	spare  []*scratch[T]
	panels map[panelKey]*panel[T]
	idle   []panelKey // of panels that are not lent, oldest first
}

// scratch is what one computation needs beside the buffer that it fills. What is taken of it is given back in
// the other order.
type scratch[T vec.Float] struct {
	pool    *scratchPool[T]
	adapter format.Checkpoint
	stage   []T
	arena   []T
	used    int64
}

// panelKey names a part of the adapter that is held whole.
type panelKey struct {
	of    any // what it is computed for
	slice int64
}

// panel is a part of the adapter, decoded.
type panel[T vec.Float] struct {
	loans int
	ready chan struct{} // closed when data or err is set
	data  []T
	err   error
}

func (s *scratchPool[T]) open(adapter format.Checkpoint) {
	s.adapter, s.panels = adapter, make(map[panelKey]*panel[T])
}

// expect makes the pool fit for a computation, beside whose needs stands the tile.
func (s *scratchPool[T]) expect(n needs) {
	n.elements += tileElements
	n.stage = max(n.stage, stageElements)
	s.needs, s.used = s.needs.or(n), true
}

// cost bounds the bytes that one computation takes.
func (s *scratchPool[T]) cost() int64 {
	if !s.used {
		return 0
	}
	return (s.needs.elements + s.needs.stage + s.needs.panels*s.needs.panel) * int64(unsafe.Sizeof(T(0)))
}

// enter begins a computation.
func (s *scratchPool[T]) enter() *scratch[T] {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inside++
	s.peak = max(s.peak, s.inside)
	if n := len(s.spare); n > 0 {
		r := s.spare[n-1]
		s.spare = s.spare[:n-1]
		return r
	}
	return &scratch[T]{pool: s, adapter: s.adapter, stage: make([]T, s.needs.stage), arena: make([]T, s.needs.elements)}
}

// leave ends it.
func (s *scratchPool[T]) leave(r *scratch[T]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inside--
	r.used = 0
	s.spare = append(s.spare, r)
}

// take lends elements of the arena.
func (r *scratch[T]) take(n int64) []T {
	r.used += n
	return r.arena[r.used-n : r.used : r.used]
}

// giveBack ends all loans since used was what it was.
func (r *scratch[T]) giveBack(used int64) { r.used = used }

// borrow returns n elements that are held whole; the first who asks computes them.
func (r *scratch[T]) borrow(key panelKey, n int64, compute func([]T) error) ([]T, error) {
	s := r.pool
	s.mu.Lock()
	p := s.panels[key]
	first := p == nil
	if first {
		// No computation borrows more than the needs say, so that there is always an idle one to drop.
		for int64(len(s.panels)) >= int64(s.peak)*s.needs.panels {
			delete(s.panels, s.idle[0])
			s.idle = s.idle[1:]
		}
		p = &panel[T]{ready: make(chan struct{})}
		s.panels[key] = p
	}
	if at := slices.Index(s.idle, key); at >= 0 {
		s.idle = slices.Delete(s.idle, at, at+1)
	}
	p.loans++
	s.mu.Unlock()

	if first {
		p.data = make([]T, n)
		p.err = compute(p.data)
		close(p.ready)
	}
	<-p.ready
	if p.err != nil {
		r.returnPanel(key)
		return nil, p.err
	}
	return p.data, nil
}

// returnPanel ends a loan.
func (r *scratch[T]) returnPanel(key panelKey) {
	s := r.pool
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.panels[key]
	if p.loans--; p.loans > 0 {
		return
	}
	if p.err != nil {
		delete(s.panels, key)
		return
	}
	s.idle = append(s.idle, key)
}
