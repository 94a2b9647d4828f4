package mmapio

import (
	"runtime"
	"testing"
)

// What is used again and again is held through collections of garbage, up to a bound.
func TestSpareHolds(t *testing.T) {
	var s Spare[[64]byte]
	if s.Get() != nil {
		t.Fatal("something was there before anything was given back")
	}
	const bytes = heldBytes / 2
	most := 2 * runtime.GOMAXPROCS(0)
	given := make(map[*[64]byte]bool)
	for range most + 3 {
		x := new([64]byte)
		given[x] = true
		s.Put(x, bytes)
	}
	if len(s.held) != most {
		t.Errorf("%d are held, want %d of %d bytes each", len(s.held), most, int64(bytes))
	}
	for range 3 { // a pool forgets what it has in two
		runtime.GC()
	}
	for range most {
		x := s.Get()
		if !given[x] {
			t.Fatalf("%p was lost, given to two, or never given back", x)
		}
		delete(given, x)
	}
	if x := s.Get(); x != nil && !given[x] {
		t.Errorf("%p was given to two", x)
	}
}

// What is too large to be held is left to the collector.
func TestSpareHoldsNothingLarge(t *testing.T) {
	var s Spare[int]
	s.Put(new(int), int64(runtime.GOMAXPROCS(0))*heldBytes+1)
	if len(s.held) != 0 {
		t.Error("more is held than the bound says")
	}
}
