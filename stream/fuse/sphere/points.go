package sphere

import (
	"math"

	"weld/format"
	"weld/internal/vec"
	"weld/stream/fuse"
)

// points are the vectors in one tile, as they are stored, which is how kernels like them best,
// until somebody needs them decoded.
type points[T vec.Float] struct {
	fuse.Operands[T]
	deltas bool
	v      [][]T // decoded, or nil
	origin []T   // nil for 0
}

// decode decodes the vectors, and their origin if they are task vectors.
func (x *points[T]) decode() {
	if x.v != nil {
		return
	}
	if x.deltas {
		x.origin = x.Base()
		x.v = x.Operands.Deltas(x.origin)
		return
	}
	x.v = make([][]T, x.Count())
	for k := range x.v {
		x.v[k] = x.Theta(k)
	}
}

// mask decodes the vectors, and moves into their origin what they have alike that is not finite.
func (x *points[T]) mask() {
	x.decode()
	if x.origin == nil {
		x.origin = agreed(x.Operands, x.v)
	}
}

// gram computes the products of one segment of each vector.
func (x *points[T]) gram(g Gram, p fuse.LineSegment) {
	if g.N == 2 && !x.deltas && x.v == nil {
		height := x.Scratch.Mark()
		da, a := x.EncodedPart(0, p.Lo, p.Hi)
		db, b := x.EncodedPart(1, p.Lo, p.Hi)
		aa, ab, bb := format.Gram(da, a, db, b, x.Buffer()[p.Lo:p.Hi], x.Buffer()[p.Lo:p.Hi])
		g.set(0, 0, aa)
		g.set(0, 1, ab)
		g.set(1, 1, bb)
		x.Scratch.Release(height)
	} else {
		x.decode()
		fillGram(g, x.v, p)
	}
	// A sum is finite only if all its terms are.
	if first := g.Dot(0, 0); first-first != 0 && x.origin == nil {
		if x.mask(); x.origin != nil {
			fillGram(g, x.v, p)
		}
	}
}

// culprit is an element for which the products of a segment are not finite, or nil.
func (x *points[T]) culprit(g Gram, p fuse.LineSegment) error {
	for k := range g.N {
		if n := g.Dot(k, k); n-n == 0 {
			continue
		}
		x.decode()
		if i := vec.FirstNonFinite(x.v[k][p.Lo:p.Hi], vec.OverflowF64[T]()); i >= 0 {
			return x.Blame(x.Span, x.Tile, p.Lo+i, math.NaN())
		}
	}
	return nil
}

// weighted fills out with Σ wₖvₖ of the segment.
func (x *points[T]) weighted(out, w []T, p fuse.LineSegment) {
	if x.v == nil && !x.deltas {
		x.Combine(out[p.Lo:p.Hi], w, p.Lo)
		return
	}
	x.decode()
	vec.Scale(out[p.Lo:p.Hi], x.v[0][p.Lo:], w[0])
	for k := 1; k < len(w); k++ {
		vec.Axpy(out[p.Lo:p.Hi], w[k], x.v[k][p.Lo:])
	}
}

// agreed moves infinities and NaNs that all vectors have alike, as mask buffers do, into an
// origin: they are to stay, and no direction. It returns nil if there are none.
func agreed[T vec.Float](in fuse.Operands[T], v [][]T) []T {
	if vec.FirstNonFinite(v[0], vec.OverflowF64[T]()) < 0 {
		return nil
	}
	origin := in.Buffer()
	vec.Fill(origin, 0)
	for i, x := range v[0] {
		alike := x-x != 0
		for k := 1; k < len(v) && alike; k++ {
			alike = fuse.SameBits(x, v[k][i])
		}
		if !alike {
			continue
		}
		origin[i] = x
		for k := range v {
			v[k][i] = 0
		}
	}
	return origin
}
