package fuse

import "weld/internal/vec"

// bySize keeps elements by the place of their magnitude among all of the tensor: exactly so many,
// of equal ones those of the lowest indices.
type bySize[T vec.Float] struct {
	*job
	cuts []cut
}

// cut keeps the elements that are among keep, but not among drop.
type cut struct{ keep, drop *topK }

// newBySize keeps the int(d·n) largest, but at least one, of n elements. With outliers it
// drops the int(γ·n) largest, as far as int(d·n) others are left, and keeps the int(d·n) next.
func newBySize[T vec.Float](j *job, outliers bool) *bySize[T] {
	b := &bySize[T]{job: j}
	n := j.Tiling.Elements()
	for k := range j.models() {
		keep, drop := n, int64(0)
		switch d := j.own(k, "density"); {
		case d >= 1:
		case d <= 0:
			keep = 0
		case outliers:
			keep = int64(d * float64(n))
			drop = min(int64(j.own(k, "gamma")*float64(n)), n-keep)
			keep += drop
		default:
			keep = max(1, int64(d*float64(n)))
		}
		b.cuts = append(b.cuts, cut{newTopK(j, keep), newTopK(j, drop)})
	}
	return b
}

func (b *bySize[T]) keeps(k int) extent {
	c := b.cuts[k]
	switch {
	case c.keep.k == c.drop.k:
		return nothing
	case c.keep.all() && c.drop.none():
		return everything
	}
	return some
}

func (b *bySize[T]) search() []Stage {
	var groups []topKOf[T]
	for k, c := range b.cuts {
		if b.keeps(k) == some {
			score := func(in input[T]) []float32 {
				s := take[float32](in.s, in.Len())
				in.distance(s, k)
				return s
			}
			groups = append(groups, topKOf[T]{[]*topK{c.keep, c.drop}, score})
		}
	}
	return searchTopK(b.job, gtaReads, groups)
}

func (b *bySize[T]) sparsify(in input[T], k int, delta []T) {
	c := b.cuts[k]
	if least, ok := c.keep.bound(in.Tile); ok {
		if over, ok := c.drop.bound(in.Tile); ok {
			vec.SelectSize(delta, least, over)
			return
		}
	}
	height := in.s.mark()
	s := magnitudes(in, delta)
	keepTop(c.keep, in.Tile, delta, s)
	first, over, rest := c.drop.bounds(in.Tile, s)
	vec.SelectSize(delta[:first], 0, over)
	vec.SelectSize(delta[first:], 0, rest)
	in.s.release(height)
}

func (b *bySize[T]) lay(stages []Stage) []Stage { return stages }
