package fuse

import (
	"weld/internal/vec"
	"weld/scoring"
)

// Scratch is one worker's memory: a stack of tiles, so that steady work allocates
// nothing. The zero value is ready.
type Scratch struct {
	singles pool[float32]
	doubles pool[float64]
	counts  []*scoring.Counts
	held    []*scoring.CandidateRun
	mask    [(TileElements + 2*vec.MaskBlock) / 32]uint32 // of a tile, wherever in a block it begins
	rows    rowMemory
}

type pool[T vec.Float] struct {
	tiles [][]T
	taken int
}

func (p *pool[T]) take(n int) []T {
	if p.taken == len(p.tiles) {
		p.tiles = append(p.tiles, make([]T, TileElements))
	}
	t := p.tiles[p.taken]
	p.taken++
	return t[:n:n]
}

// mark is a height of the stack.
type mark struct{ singles, doubles int }

// mark remembers the height; release gives back what was taken since.
func (s *Scratch) mark() mark      { return mark{s.singles.taken, s.doubles.taken} }
func (s *Scratch) release(to mark) { s.singles.taken, s.doubles.taken = to.singles, to.doubles }

// reset gives everything back.
func (s *Scratch) reset() { s.release(mark{}) }

// take lends a tile of n elements, with whatever it held before.
func take[T vec.Float](s *Scratch, n int) []T {
	var t []T
	switch p := any(&t).(type) {
	case *[]float32:
		*p = s.singles.take(n)
	case *[]float64:
		*p = s.doubles.take(n)
	}
	return t
}

// histogram lends the worker's counts, empty.
func (s *Scratch) histogram() *scoring.Counts { return s.histograms(1)[0] }

// histograms lends n of them.
func (s *Scratch) histograms(n int) []*scoring.Counts {
	for len(s.counts) < n {
		s.counts = append(s.counts, scoring.NewCounts())
	}
	return s.counts[:n]
}

// heldRun lends what the worker holds of the i-th selection of a group.
func (s *Scratch) heldRun(group, i int) *scoring.CandidateRun {
	at := group*cutsOfGroup + i
	for len(s.held) <= at {
		s.held = append(s.held, new(scoring.CandidateRun))
	}
	return s.held[at]
}

// cutsOfGroup is how many selections have the same scores at most, heldTiles the tiles that a worker
// holds of each.
const (
	cutsOfGroup = 2
	heldTiles   = scoring.CandidateRunBytes/(8*TileElements) + 1
)

// single views x as float32: itself, or rounded into a tile of the scratch.
func single[T vec.Float](s *Scratch, x []T) []float32 {
	switch x := any(x).(type) {
	case []float32:
		return x
	case []float64:
		t := s.singles.take(len(x))
		vec.Narrow(t, x)
		return t
	}
	return nil
}

// double views x as float64: itself, or widened into a tile of the scratch.
func double[T vec.Float](s *Scratch, x []T) []float64 {
	switch x := any(x).(type) {
	case []float64:
		return x
	case []float32:
		t := s.doubles.take(len(x))
		vec.Widen(t, x)
		return t
	}
	return nil
}

// widen views scores in the type that a tensor is combined in.
func widen[T vec.Float](s *Scratch, x []float32) []T {
	var t []T
	switch p := any(&t).(type) {
	case *[]float32:
		*p = x
	case *[]float64:
		*p = s.doubles.take(len(x))
		vec.Widen(*p, x)
	}
	return t
}
