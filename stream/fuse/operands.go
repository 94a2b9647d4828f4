package fuse

import (
	"weld/format"
	"weld/internal/vec"
)

// Operands are what a stage sees of one tile: models are counted as they are [Fusion.Present]. What is decoded lies in
// the worker's scratch until the next tile.
type Operands[T vec.Float] struct {
	*Fusion
	Scratch *Scratch
	Span    *Span
	Tile
}

// Buffer lends a tile of memory, with whatever it held before.
func (in Operands[T]) Buffer() []T { return Take[T](in.Scratch, in.Len()) }

// Result is memory for what the tile becomes: the output's own, where elements are computed in the type that they are stored in.
func (in Operands[T]) Result() []T {
	if in.Span.Out != nil {
		if x, ok := format.Values[T](in.Span.OutDType, in.Span.out(in.Tile)); ok {
			return x
		}
	}
	return in.Buffer()
}

// Base decodes θ₀.
func (in Operands[T]) Base() []T { return DecodeBase[T](in.Scratch, in.Span, in.Tile) }

// Encoded is the k-th model's bytes, and their type.
func (in Operands[T]) Encoded(k int) (format.DType, []byte) {
	o := in.Span.Models[in.Present[k]]
	return o.DType, o.Of(in.Tile)
}

// EncodedPart is the bytes of the k-th model's elements [lo, hi) of the tile.
func (in Operands[T]) EncodedPart(k, lo, hi int) (format.DType, []byte) {
	d, data := in.Encoded(k)
	size := d.Bits() / 8
	return d, data[lo*size : hi*size]
}

// alike appends the bytes of all models' elements [lo, hi) of the tile to data, if all are of one type.
func (in Operands[T]) alike(data [][]byte, lo, hi int) (d format.DType, _ [][]byte, ok bool) {
	for k := range in.Count() {
		own, bytes := in.EncodedPart(k, lo, hi)
		if k > 0 && own != d {
			return d, nil, false
		}
		d, data = own, append(data, bytes)
	}
	return d, data, len(data) > 0
}

// AddDeltas fills out with θ₀ + λ·Σ wₖ(θₖ − θ₀) in one pass over all models. It reports false if they, or the base, are stored otherwise
// than that is written for.
func (in Operands[T]) AddDeltas(out []T, lambda T, w []T) bool {
	var few [8][]byte
	d, data, ok := in.alike(few[:0], 0, in.Len())
	base := in.Span.Base
	return ok && d == base.DType && format.AddDeltas(d, out, base.Of(in.Tile), lambda, data, w)
}

// Combine fills out with Σ wₖθₖ, of the tile's elements from lo on.
func (in Operands[T]) Combine(out, w []T, lo int) {
	var few [8][]byte
	if d, data, ok := in.alike(few[:0], lo, lo+len(out)); ok && format.Sum(d, out, data, w) {
		return
	}
	height := in.Scratch.Mark()
	buffer := in.Buffer()[:len(out)]
	for k := in.combineTwo(out, w, lo); k < len(w); k++ {
		d, data := in.EncodedPart(k, lo, lo+len(out))
		if k == 0 {
			format.Scale(d, out, data, w[k])
		} else {
			format.Axpy(d, out, w[k], data, buffer)
		}
	}
	in.Scratch.Release(height)
}

// combineTwo begins with θ₀ + w₁θ₁ in one pass, where both lie in memory as they are computed with, as decoded ones do. It returns how many models are done.
func (in Operands[T]) combineTwo(out, w []T, lo int) int {
	if len(w) < 2 || w[0] != 1 {
		return 0
	}
	d, data := in.EncodedPart(0, lo, lo+len(out))
	first, ok := format.Values[T](d, data)
	d, data = in.EncodedPart(1, lo, lo+len(out))
	second, both := format.Values[T](d, data)
	if !ok || !both {
		return 0
	}
	vec.Apply(out, first, w[1], second)
	return 2
}

// Theta decodes θ of the k-th model.
func (in Operands[T]) Theta(k int) []T {
	x := in.Buffer()
	d, data := in.Encoded(k)
	format.Decode(d, x, data)
	return x
}

// Delta is θ − θ₀ of the k-th model; 0 where both have the same bits.
func (in Operands[T]) Delta(k int, base []T) []T {
	x := in.Buffer()
	d, data := in.Encoded(k)
	format.Delta(d, x, data, base)
	return x
}

// Deltas are all models' task vectors.
func (in Operands[T]) Deltas(base []T) [][]T {
	d := make([][]T, in.Count())
	for k := range d {
		d[k] = in.Delta(k, base)
	}
	return d
}

// Distance fills dst with |θ − θ₀| of the k-th model in float32. What is not finite counts as the
// largest finite number.
func (in Operands[T]) Distance(dst []float32, k int) {
	if _, wide := any(T(0)).(float64); wide {
		vec.Abs(dst, Narrowed(in.Scratch, in.Delta(k, in.Base())))
		clampScores(dst)
		return
	}
	d, data := in.Encoded(k)
	format.Distance(dst, d, data, in.Span.Base.DType, in.Span.Base.Of(in.Tile), Take[float32](in.Scratch, len(dst)))
}

// Importance decodes a of the k-th model.
func (in Operands[T]) Importance(k int) []T {
	x := in.Buffer()
	o := in.Span.Importance[in.Present[k]]
	format.Decode(o.DType, x, o.Of(in.Tile))
	return x
}

// DecodeBase decodes the base's tile.
func DecodeBase[T vec.Float](s *Scratch, sp *Span, t Tile) []T {
	base := Take[T](s, t.Len())
	format.Decode(sp.Base.DType, base, sp.Base.Of(t))
	return base
}
