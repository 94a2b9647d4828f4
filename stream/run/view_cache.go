package run

import (
	"sync"

	"weld/mmapio"
)

// viewCache holds what was lent for early stages of a tensor, so that a later stage finds it in
// memory and the system maps it, or a reader decodes it, once. It takes as much as its memory allows.
type viewCache struct {
	overhead int64        // bytes that the views of an item take beyond what they show
	idle     func() int64 // lets go of memory that was taken for something else and is not used, and says how much; nil for none

	mu      sync.Mutex
	free    int64
	tensors map[int]map[elements][]mmapio.View
}

// elements are those of an item.
type elements struct{ lo, hi int64 }

// reserve takes so many bytes of the memory for something else, if there are as many.
func (s *viewCache) reserve(n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fits(n)
}

// fits takes so many bytes, if there are as many.
func (s *viewCache) fits(n int64) bool {
	if n > s.free && s.idle != nil {
		s.free += s.idle()
	}
	if n > s.free {
		return false
	}
	s.free -= n
	return true
}

// put takes the views of an item, if there is room for them.
func (s *viewCache) put(tensor int, at elements, views []mmapio.View) bool {
	size := s.overhead + bytesOf(views)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.fits(size) {
		return false
	}
	if s.tensors == nil {
		s.tensors = make(map[int]map[elements][]mmapio.View)
	}
	if s.tensors[tensor] == nil {
		s.tensors[tensor] = make(map[elements][]mmapio.View)
	}
	s.tensors[tensor][at] = append([]mmapio.View(nil), views...)
	return true
}

// take gives the views of an item back; nil if they are not there.
func (s *viewCache) take(tensor int, at elements) []mmapio.View {
	s.mu.Lock()
	defer s.mu.Unlock()
	views := s.tensors[tensor][at]
	if views != nil {
		s.free += s.overhead + bytesOf(views)
		delete(s.tensors[tensor], at)
	}
	return views
}

// clear releases what nobody took of a tensor that is done.
func (s *viewCache) clear(tensor int) {
	s.mu.Lock()
	left := s.tensors[tensor]
	delete(s.tensors, tensor)
	for _, views := range left {
		s.free += s.overhead + bytesOf(views)
	}
	s.mu.Unlock()
	for _, views := range left {
		release(views)
	}
}

// close releases everything.
func (s *viewCache) close() {
	for tensor := range s.tensors {
		s.clear(tensor)
	}
}

// bytesOf is what views show.
func bytesOf(views []mmapio.View) (n int64) {
	for _, v := range views {
		n += int64(len(v.Data))
	}
	return n
}

// release gives views back.
func release(views []mmapio.View) {
	for i := range views {
		views[i].Release()
	}
}
