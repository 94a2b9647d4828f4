package fuse

import "weld/internal/vec"

// sparsifier is S of generalised task arithmetic: it keeps some elements of each task vector.
type sparsifier[T vec.Float] interface {
	// search returns stages that find out what is kept.
	search() []Stage
	// keeps is how much of the k-th model's task vector is kept.
	keeps(k int) extent
	// sparsify sets to 0 what is dropped of a tile of the k-th model's task vector, of which
	// some is kept.
	sparsify(in input[T], k int, delta []T)
	// lay gives stages the tiles that sparsify needs.
	lay(stages []Stage) []Stage
}

// masker is a sparsifier that has a mask of what is kept, before it sees the task vector.
type masker[T vec.Float] interface {
	// mask is lent until the next call with the same scratch.
	mask(in input[T], k int) []uint32
}

// normed is a sparsifier that may know the L1 norms of a tile before and after it, as it has seen all elements.
type normed[T vec.Float] interface {
	norm(in input[T], k int) (n l1Pair, ok bool)
}

// extent is how much of a task vector is kept.
type extent uint8

const (
	everything extent = iota
	some
	nothing
)

// extentOf is what is kept at a density.
func extentOf(density float64) extent {
	switch {
	case density >= 1:
		return everything
	case density > 0:
		return some
	}
	return nothing
}

// sparsifierKind says how elements are chosen.
type sparsifierKind uint8

const (
	dense           sparsifierKind = iota // all of them
	byMagnitude                           // the largest
	withoutOutliers                       // neither the largest nor the smallest
	atRandom                              // each with the same probability
	byRankAndChance                       // each with a probability that grows with its rank in the row
)

func newSparsifier[T vec.Float](kind sparsifierKind, j *job) sparsifier[T] {
	switch kind {
	case byMagnitude, withoutOutliers:
		return newBySize[T](j, kind == withoutOutliers)
	case atRandom:
		return newByChance[T](j)
	case byRankAndChance:
		return newByRank[T](j)
	}
	return unsparing[T]{}
}

// state is [formula.state].
func (kind sparsifierKind) state(j *Job) int64 {
	if kind == byRankAndChance {
		tiles, length := rowsOf(j).chosenTiles(len(j.Models))
		return tiles * (1 + 4*length*int64(len(j.Models)))
	}
	searches := map[sparsifierKind]int64{byMagnitude: 1, withoutOutliers: 2}[kind]
	return searches * int64(len(j.Models)) * topKBytes(j)
}

// rows is [formula.rows].
func (kind sparsifierKind) rows(j *Job) int64 {
	if kind == byRankAndChance {
		return rowBytes(j)
	}
	return 0
}

// unsparing keeps everything.
type unsparing[T vec.Float] struct{}

func (unsparing[T]) search() []Stage             { return nil }
func (unsparing[T]) keeps(int) extent            { return everything }
func (unsparing[T]) sparsify(input[T], int, []T) {}
func (unsparing[T]) lay(stages []Stage) []Stage  { return stages }
