package run

import (
	"testing"

	"weld/mmapio"
)

// lender counts what comes back.
type lender struct{ back int }

func (l *lender) TakeBack([]byte, int64) { l.back++ }

func (l *lender) lend(n int) []mmapio.View {
	return []mmapio.View{mmapio.Lend(make([]byte, n), l, 0), {}, mmapio.Lend(make([]byte, n), l, 0)}
}

func TestViewCacheKeepsWhatItHasRoomFor(t *testing.T) {
	var l lender
	s := viewCache{overhead: 10, free: 1000}
	if !s.put(1, elements{0, 5}, l.lend(200)) || !s.put(1, elements{5, 9}, l.lend(200)) || s.free != 180 {
		t.Fatalf("two spans of 410 bytes leave %d of 1000", s.free)
	}
	if s.put(2, elements{0, 5}, l.lend(100)) {
		t.Error("a third of 210 was taken")
	}
	if s.take(1, elements{0, 9}) != nil || s.take(2, elements{0, 5}) != nil {
		t.Error("spans were found that nobody put there")
	}
	views := s.take(1, elements{0, 5})
	if len(views) != 3 || len(views[0].Data) != 200 || views[1].Data != nil || s.free != 590 {
		t.Fatalf("%d views came back, and %d bytes are free", len(views), s.free)
	}
	if s.take(1, elements{0, 5}) != nil {
		t.Error("a span came back twice")
	}
	if s.clear(1); s.free != 1000 || l.back != 2 {
		t.Errorf("%d bytes are free and %d views were released at the end of a tensor", s.free, l.back)
	}
	s.put(7, elements{0, 1}, l.lend(1))
	s.put(8, elements{0, 1}, l.lend(1))
	if s.close(); s.free != 1000 || l.back != 6 {
		t.Errorf("%d bytes are free and %d views were released at the end", s.free, l.back)
	}
}

// Memory of results stays with them when they are given back, for the next; views that want it get it.
func TestResultsKeepTheirMemory(t *testing.T) {
	s := viewCache{free: 1000}
	c := resultCache{views: &s}
	s.idle = c.yield
	first, second := c.room(2, 200), c.room(2, 250)
	if first == nil || second == nil || s.free != 100 || c.room(2, 60) != nil {
		t.Fatalf("results of 400 and 500 bytes leave %d of 1000", s.free)
	}
	c.put(1, elements{0, 5}, first)
	if r := c.take(1, elements{0, 5}); r != first {
		t.Fatal("other results came back")
	}
	if c.take(1, elements{0, 5}) != nil {
		t.Error("results came back twice")
	}
	c.giveBack(first)
	if !s.reserve(100) || s.free != 0 {
		t.Errorf("memory that was idle was let go of, though there was enough; %d bytes are free", s.free)
	}
	if r := c.room(2, 200); r != first {
		t.Error("memory for as much was not used again")
	}
	c.giveBack(first)
	s.free = 100
	if r := c.room(2, 190); r != first || len(r.outs[1]) != 190 || s.free != 100 {
		t.Errorf("memory of results was not used again; %d bytes are free", s.free)
	}
	c.giveBack(first)
	if r := c.room(2, 240); r == nil || r == first || s.free != 20 {
		t.Errorf("memory for less was used, or stood in the way of more; %d bytes are free", s.free)
	} else {
		c.giveBack(r)
	}
	var l lender
	if !s.put(1, elements{0, 5}, l.lend(120)) || s.free != 260 {
		t.Errorf("views of 240 bytes beside results that nobody uses leave %d", s.free)
	}
	c.put(2, elements{0, 5}, second)
	c.clear(2)
	if !s.reserve(700) || s.free != 60 {
		t.Errorf("%d bytes are free behind a tensor that is done", s.free)
	}
}
