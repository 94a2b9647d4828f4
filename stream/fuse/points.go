package fuse

import (
	"math"

	"weld/format"
	"weld/internal/vec"
)

// points are the vectors in one tile, as they are stored, which is how kernels like them best,
// until somebody needs them decoded.
type points[T vec.Float] struct {
	input[T]
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
		x.origin = x.base()
		x.v = x.input.deltas(x.origin)
		return
	}
	x.v = make([][]T, x.models())
	for k := range x.v {
		x.v[k] = x.theta(k)
	}
}

// mask decodes the vectors, and moves into their origin what they have alike that is not finite.
func (x *points[T]) mask() {
	x.decode()
	if x.origin == nil {
		x.origin = agreed(x.input, x.v)
	}
}

// gram computes the products of one segment of each vector.
func (x *points[T]) gram(g gram, p segment) {
	if g.n == 2 && !x.deltas && x.v == nil {
		height := x.s.mark()
		da, a := x.part(0, p.lo, p.hi)
		db, b := x.part(1, p.lo, p.hi)
		aa, ab, bb := format.Gram(da, a, db, b, x.room()[p.lo:p.hi], x.room()[p.lo:p.hi])
		g.set(0, 0, aa)
		g.set(0, 1, ab)
		g.set(1, 1, bb)
		x.s.release(height)
	} else {
		x.decode()
		fillGram(g, x.v, p)
	}
	// A sum is finite only if all its terms are.
	if first := g.dot(0, 0); first-first != 0 && x.origin == nil {
		if x.mask(); x.origin != nil {
			fillGram(g, x.v, p)
		}
	}
}

// culprit is an element for which the products of a segment are not finite, or nil.
func (x *points[T]) culprit(g gram, p segment) error {
	for k := range g.n {
		if n := g.dot(k, k); n-n == 0 {
			continue
		}
		x.decode()
		if i := vec.FirstNonFinite(x.v[k][p.lo:p.hi], vec.OverflowF64[T]()); i >= 0 {
			return x.finisher.blame(x.span, x.Tile, p.lo+i, math.NaN())
		}
	}
	return nil
}

// weighted fills out with Σ wₖvₖ of the segment.
func (x *points[T]) weighted(out, w []T, p segment) {
	if x.v == nil && !x.deltas {
		x.combine(out[p.lo:p.hi], w, p.lo)
		return
	}
	x.decode()
	vec.Scale(out[p.lo:p.hi], x.v[0][p.lo:], w[0])
	for k := 1; k < len(w); k++ {
		vec.Axpy(out[p.lo:p.hi], w[k], x.v[k][p.lo:])
	}
}

// agreed moves infinities and NaNs that all vectors have alike, as mask buffers do, into an
// origin: they are to stay, and no direction. It returns nil if there are none.
func agreed[T vec.Float](in input[T], v [][]T) []T {
	if vec.FirstNonFinite(v[0], vec.OverflowF64[T]()) < 0 {
		return nil
	}
	origin := in.room()
	vec.Fill(origin, 0)
	for i, x := range v[0] {
		alike := x-x != 0
		for k := 1; k < len(v) && alike; k++ {
			alike = sameBits(x, v[k][i])
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
