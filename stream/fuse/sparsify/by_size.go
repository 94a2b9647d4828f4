package sparsify

import (
	"weld/internal/vec"
	"weld/stream/fuse"
)

// bySize keeps elements by the rank of their magnitude in the tensor: exactly so many,
// of equal ones those of the lowest indices.
type bySize[T vec.Float] struct {
	*fuse.Fusion
	kept []between // for each model
}

// between keeps the elements that are among keep, but not among drop.
type between struct{ keep, drop *fuse.TopK }

// newBySize keeps the int(d·n) largest, but at least one, of n elements. With outliers it
// drops the int(γ·n) largest, as far as int(d·n) others are left, and keeps the int(d·n) next.
func newBySize[T vec.Float](f *fuse.Fusion, shares []Share, outliers bool) *bySize[T] {
	b := &bySize[T]{Fusion: f}
	n := f.Tiling.Elements()
	for _, s := range shares {
		keep, drop := n, int64(0)
		switch d := s.Density; {
		case d >= 1:
		case d <= 0:
			keep = 0
		case outliers:
			keep = int64(d * float64(n))
			drop = min(int64(s.Gamma*float64(n)), n-keep)
			keep += drop
		default:
			keep = max(1, int64(d*float64(n)))
		}
		b.kept = append(b.kept, between{fuse.NewTopK(f.Job, keep), fuse.NewTopK(f.Job, drop)})
	}
	return b
}

func (b *bySize[T]) keeps(k int) extent {
	c := b.kept[k]
	switch {
	case c.keep.K() == c.drop.K():
		return nothing
	case c.keep.All() && c.drop.None():
		return everything
	}
	return some
}

func (b *bySize[T]) search() []fuse.Stage {
	var groups []fuse.Selections[T]
	for k, c := range b.kept {
		if b.keeps(k) == some {
			score := func(in fuse.Operands[T]) []float32 {
				s := fuse.Take[float32](in.Scratch, in.Len())
				in.Distance(s, k)
				return s
			}
			groups = append(groups, fuse.Selections[T]{Of: []*fuse.TopK{c.keep, c.drop}, Score: score})
		}
	}
	return fuse.SearchTopK(b.Fusion, fuse.Reads{Base: true, Models: true}, groups)
}

func (b *bySize[T]) sparsify(in fuse.Operands[T], k int, delta []T) {
	c := b.kept[k]
	if least, ok := c.keep.Bound(in.Tile); ok {
		if over, ok := c.drop.Bound(in.Tile); ok {
			vec.SelectSize(delta, least, over)
			return
		}
	}
	height := in.Scratch.Mark()
	s := fuse.Magnitudes(in, delta)
	fuse.KeepTop(c.keep, in.Tile, delta, s)
	first, over, rest := c.drop.Bounds(in.Tile, s)
	vec.SelectSize(delta[:first], 0, over)
	vec.SelectSize(delta[first:], 0, rest)
	in.Scratch.Release(height)
}

func (b *bySize[T]) lay(stages []fuse.Stage) []fuse.Stage { return stages }
