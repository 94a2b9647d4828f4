package sparsify

import (
	"weld/internal/vec"
	"weld/stream/fuse"
)

// sparsifier is S of generalised task arithmetic: it keeps some elements of each task vector.
type sparsifier[T vec.Float] interface {
	// search returns stages that find out what is kept.
	search() []fuse.Stage
	// keeps is how much of the k-th model's task vector is kept.
	keeps(k int) extent
	// sparsify sets to 0 what is dropped of a tile of the k-th model's task vector, of which
	// some is kept.
	sparsify(in fuse.Operands[T], k int, delta []T)
	// lay gives stages the tiles that sparsify needs.
	lay(stages []fuse.Stage) []fuse.Stage
}

// masker is a sparsifier that has a mask of what is kept, before it sees the task vector.
type masker[T vec.Float] interface {
	// mask is lent until the next call with the same scratch.
	mask(in fuse.Operands[T], k int) []uint32
}

// normed is a sparsifier that may know the L1 norms of a tile before and after it, as it has seen all elements.
type normed[T vec.Float] interface {
	norm(in fuse.Operands[T], k int) (n fuse.L1, ok bool)
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

// Rule says how elements are chosen.
type Rule uint8

const (
	Dense           Rule = iota // all of them
	ByMagnitude                 // the largest
	WithoutOutliers             // neither the largest nor the smallest
	AtRandom                    // each with the same probability
	ByRank                      // each with a probability that grows with its rank in the row
)

// Share is how much a sparsifier keeps of one model's task vector.
type Share struct {
	Density float64 // share of the elements
	Gamma   float64 // of [WithoutOutliers]: share of the largest that are dropped
	Epsilon float64 // of [ByRank]: how far a probability lies from the density, at most
}

// newSparsifier makes one for the models that have a tensor. The seed is of those that are random.
func newSparsifier[T vec.Float](rule Rule, f *fuse.Fusion, seed uint64, shares []Share) sparsifier[T] {
	switch rule {
	case ByMagnitude, WithoutOutliers:
		return newBySize[T](f, shares, rule == WithoutOutliers)
	case AtRandom:
		return &byChance[T]{f, newChance(f, seed, shares)}
	case ByRank:
		return newByRank[T](f, seed, shares)
	}
	return unsparing[T]{}
}

// Bytes bounds what a sparsifier holds of a tensor.
func (rule Rule) Bytes(j *fuse.Job) int64 {
	switch rule {
	case ByMagnitude:
		return int64(len(j.Models)) * fuse.TopKBytes(j)
	case WithoutOutliers:
		return 2 * int64(len(j.Models)) * fuse.TopKBytes(j)
	case ByRank:
		tiles, length := rowsOf(j).chosenTiles(len(j.Models))
		return tiles * (1 + 4*length*int64(len(j.Models)))
	}
	return 0
}

// RowBytes bounds what a worker holds of a tensor's rows beside its scratch.
func (rule Rule) RowBytes(j *fuse.Job) int64 {
	if rule == ByRank {
		return rowBytes(j)
	}
	return 0
}

// tiles is what a worker holds beside that, in tiles of scratch.
func (rule Rule) tiles(models int) int {
	switch rule {
	case ByMagnitude:
		return models * fuse.HeldTiles
	case WithoutOutliers:
		return models*fuse.GroupSelections*fuse.HeldTiles + fuse.QuantilesTiles(fuse.GroupSelections)
	}
	return 0
}

// unsparing keeps everything.
type unsparing[T vec.Float] struct{}

func (unsparing[T]) search() []fuse.Stage                 { return nil }
func (unsparing[T]) keeps(int) extent                     { return everything }
func (unsparing[T]) sparsify(fuse.Operands[T], int, []T)  {}
func (unsparing[T]) lay(stages []fuse.Stage) []fuse.Stage { return stages }

// workerMemory is what a worker holds between tiles.
type workerMemory struct {
	mask [(fuse.TileElements + 2*vec.MaskBlock) / 32]uint32 // of a tile, wherever in a block it begins
	rows rowMemory
}
