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
