package lora

import (
	"slices"
	"sync"
	"unsafe"

	"weld/format"
	"weld/internal/vec"
)

// workshop is where sums of one type are computed: rooms to compute in, and right
// factors that are held whole. It holds no more of each than there ever were
// computations at once, since a view's cost counts one of each.
type workshop[T vec.Float] struct {
	of      *checkpoint
	rank    int64 // largest
	largest int64 // elements of the largest factor that is held whole
	used    bool

	mu     sync.Mutex
	inside int // computations
	peak   int // most at once
	rooms  []*room[T]
	panels map[*lowRank]*panel[T]
	idle   []*lowRank // whose panels are not lent, oldest first
}

// room is what one computation needs beside the buffer that it fills.
type room[T vec.Float] struct {
	sum, base          []T // of rowPart
	left, block, stage []T
}

// panel is a right factor, decoded: a row for each index of the rank.
type panel[T vec.Float] struct {
	loans int
	ready chan struct{} // closed when data or err is set
	data  []T
	err   error
}

func (s *workshop[T]) open(of *checkpoint) {
	s.of, s.panels = of, make(map[*lowRank]*panel[T])
}

func (s *workshop[T]) adapter() format.Checkpoint { return s.of.adapter }

// expect makes the workshop fit for a product.
func (s *workshop[T]) expect(low *lowRank) {
	s.used = true
	s.rank = max(s.rank, low.rank)
	if low.panel() {
		s.largest = max(s.largest, low.rank*low.cols)
	}
}

// sizes are the elements of a room's parts.
func (s *workshop[T]) sizes() (left, block, stage int64) {
	return max(leftElements, s.rank), max(blockElements, blockCols*s.rank), max(stageElements, s.rank)
}

// cost bounds the bytes that one computation takes.
func (s *workshop[T]) cost() int64 {
	if !s.used {
		return 0
	}
	left, block, stage := s.sizes()
	return (2*rowPart + left + block + stage + s.largest) * int64(unsafe.Sizeof(T(0)))
}

// enter begins a computation.
func (s *workshop[T]) enter() *room[T] {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inside++
	s.peak = max(s.peak, s.inside)
	if n := len(s.rooms); n > 0 {
		r := s.rooms[n-1]
		s.rooms = s.rooms[:n-1]
		return r
	}
	left, block, stage := s.sizes()
	return &room[T]{make([]T, rowPart), make([]T, rowPart), make([]T, left), make([]T, block), make([]T, stage)}
}

// leave ends it.
func (s *workshop[T]) leave(r *room[T]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inside--
	s.rooms = append(s.rooms, r)
}

// borrow returns a right factor; the first who asks decodes it.
func (s *workshop[T]) borrow(low *lowRank, room *room[T]) ([]T, error) {
	s.mu.Lock()
	p := s.panels[low]
	first := p == nil
	if first {
		// Each computation borrows one panel, so that there is always an idle one to drop.
		for len(s.panels) >= s.peak {
			delete(s.panels, s.idle[0])
			s.idle = s.idle[1:]
		}
		p = &panel[T]{ready: make(chan struct{})}
		s.panels[low] = p
	}
	if at := slices.Index(s.idle, low); at >= 0 {
		s.idle = slices.Delete(s.idle, at, at+1)
	}
	p.loans++
	s.mu.Unlock()

	if first {
		p.data = make([]T, low.rank*low.cols)
		p.err = load(s.adapter(), low.right, low.rank, p.data, 0, low.cols, true, room.stage)
		close(p.ready)
	}
	<-p.ready
	if p.err != nil {
		s.giveBack(low)
		return nil, p.err
	}
	return p.data, nil
}

// giveBack ends a loan.
func (s *workshop[T]) giveBack(low *lowRank) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.panels[low]
	if p.loans--; p.loans > 0 {
		return
	}
	if p.err != nil {
		delete(s.panels, low)
		return
	}
	s.idle = append(s.idle, low)
}
