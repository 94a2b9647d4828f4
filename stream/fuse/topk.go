package fuse

import (
	"sync"
	"sync/atomic"

	"weld/internal/vec"
	"weld/scoring"
)

// TopK selects exactly the k elements of a tensor with the highest scores, those of equal
// scores in the order of their index. Scores are float32, finite and at least 0. They are
// searched by histograms of their bits, in stages over the tensor, and never sorted.
type TopK struct {
	k, n  int64
	share float32 // of the scores that are not 0 gives k, if this is not 0

	sketch   *scoring.Sketch
	mu       sync.Mutex
	held     *scoring.Candidates // scores that may be the least selected; nil if they are too many
	quantile *scoring.Quantile   // the search without them
	varied   atomic.Int64        // scores that are not 0
	least    float32             // the k-th largest score
	wanted   int64               // elements with that score that are selected
	some     bool                // not all of them are
	numbered bool                // ties are known
	ties     []int64             // for each tile, elements with that score in the tiles before; then all
}

// NewTopK selects k of the tensor's elements.
func NewTopK(j *Job, k int64) *TopK {
	n := j.Tiling.Elements()
	return &TopK{k: min(max(k, 0), n), n: n}
}

// NewTopShare selects a share, below 1, of the elements whose score is not 0.
func NewTopShare(j *Job, share float32) *TopK {
	return &TopK{n: j.Tiling.Elements(), share: max(0, share)}
}

// K is how many are selected.
func (c *TopK) K() int64 { return c.k }

// TopKBytes bounds what a selection holds of a tensor.
func TopKBytes(j *Job) int64 {
	n := 8*j.Tiling.Count() + heldTileBytes*j.Tiling.Count() + scoring.FindBytes
	if !sampled(j) {
		return n + 4*j.Tiling.Elements()
	}
	return n + max(mostHeld*4, scoring.BracketBytes) + sketchBytes
}

// heldTileBytes is what [scoring.Candidates] notes of each tile.
const heldTileBytes = 32

// All reports a selection of everything, which takes no search.
func (c *TopK) All() bool { return c.k == c.n }

// None reports a selection of nothing, which takes no search.
func (c *TopK) None() bool { return c.k == 0 }

// Bound is the least score that is selected in a tile; ok is false if equal scores are not.
func (c *TopK) Bound(t Tile) (least float32, ok bool) {
	switch {
	case c.All():
		return 0, true
	case c.None():
		return infinity, true
	}
	switch c.tiesIn(t) {
	case noTies:
		return NextUp(c.least), true
	case allTies:
		return c.least, true
	}
	return 0, false
}

// Bounds are the least scores that are selected among the first elements of a tile, and among the rest; s
// are the tile's scores.
func (c *TopK) Bounds(t Tile, s []float32) (first int, least, rest float32) {
	if least, ok := c.Bound(t); ok {
		return len(s), least, least
	}
	return afterEqual(s, c.least, c.tiesIn(t)), c.least, NextUp(c.least)
}

// afterEqual is the index behind the n-th score that has a value, of at least so many.
func afterEqual(s []float32, v float32, n int64) int {
	const few = 256
	at := 0
	for ; at+few < len(s); at += few {
		in := int64(countEqual(s[at:at+few], v))
		if in >= n {
			break
		}
		n -= in
	}
	for ; n > 0; at++ {
		if s[at] == v {
			n--
		}
	}
	return at
}

// KeepTop sets to +0 the elements of x that are not selected; s are the tile's scores.
func KeepTop[T vec.Float](c *TopK, t Tile, x []T, s []float32) {
	switch {
	case c.All():
		return
	case c.None():
		vec.Fill(x, 0)
		return
	}
	first, least, rest := c.Bounds(t, s)
	selectFrom(x[:first], s[:first], least)
	selectFrom(x[first:], s[first:], rest)
}

func selectFrom[T vec.Float](x []T, s []float32, least float32) {
	if least > 0 {
		vec.Select(x, s, least)
	}
}

// What [TopK.tiesIn] says but a number.
const (
	noTies  = -1
	allTies = -2
)

// tiesIn is how many of the tile's elements with the least selected score are selected.
func (c *TopK) tiesIn(t Tile) int64 {
	if !c.some {
		return allTies
	}
	before, count := c.ties[t.Index], c.ties[t.Index+1]-c.ties[t.Index]
	switch left := c.wanted - before; {
	case left <= 0:
		return noTies
	case left >= count:
		return allTies
	default:
		return left
	}
}
