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
	memory  any
}

// Memory lends what a tool keeps of its own in a scratch, between tiles and spans: one value, of the type that was asked
// for last.
func Memory[M any](s *Scratch) *M {
	m, ok := s.memory.(*M)
	if !ok {
		m = new(M)
		s.memory = m
	}
	return m
}

// Taken is how many bytes of tiles and of scores' counts the scratch has taken so far, beside what tools keep in it.
// Candidates of selections count as tiles.
func (s *Scratch) Taken() (tiles, counts int64) {
	tiles = int64(len(s.singles.tiles)*4+len(s.doubles.tiles)*8) * TileElements
	for _, run := range s.held {
		tiles += run.Bytes()
	}
	return tiles, int64(len(s.counts)) * scoring.CountsBytes
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

// Mark is a height of the stack of tiles.
type Mark struct{ singles, doubles int }

// Mark remembers the height.
func (s *Scratch) Mark() Mark { return Mark{s.singles.taken, s.doubles.taken} }

// Release gives back what was taken since a mark.
func (s *Scratch) Release(to Mark) { s.singles.taken, s.doubles.taken = to.singles, to.doubles }

// Reset gives everything back.
func (s *Scratch) Reset() { s.Release(Mark{}) }

// Take lends a tile of n elements, with whatever it held before.
func Take[T vec.Float](s *Scratch, n int) []T {
	var t []T
	switch p := any(&t).(type) {
	case *[]float32:
		*p = s.singles.take(n)
	case *[]float64:
		*p = s.doubles.take(n)
	}
	return t
}

// Histogram lends the worker's counts, empty.
func (s *Scratch) Histogram() *scoring.Counts { return s.histograms(1)[0] }

// histograms lends n of them.
func (s *Scratch) histograms(n int) []*scoring.Counts {
	for len(s.counts) < n {
		s.counts = append(s.counts, scoring.NewCounts())
	}
	return s.counts[:n]
}

// heldRun lends what the worker holds of the i-th selection of a group.
func (s *Scratch) heldRun(group, i int) *scoring.CandidateRun {
	at := group*GroupSelections + i
	for len(s.held) <= at {
		s.held = append(s.held, new(scoring.CandidateRun))
	}
	return s.held[at]
}

// GroupSelections is how many selections have the same scores at most, HeldTiles the tiles that a worker
// holds of each.
const (
	GroupSelections = 2
	HeldTiles       = scoring.CandidateRunBytes/(8*TileElements) + 1
)

// Narrowed views x as float32: itself, or rounded into a tile of the scratch.
func Narrowed[T vec.Float](s *Scratch, x []T) []float32 {
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

// Widened views scores in the type that a tensor is combined in.
func Widened[T vec.Float](s *Scratch, x []float32) []T {
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
