package fuse

import (
	"bytes"
	"encoding/binary"
	"math"

	"weld/format"
)

// Difference is how two tensors differ, element by element. Sums are taken in float64.
type Difference struct {
	Elements   int64
	Different  int64 // elements whose bits differ; of tensors of two types, whose values do
	Nonfinite  int64 // of these, where one of the two values is infinite or no number
	NonfiniteA int64 // values of a that are, in all elements
	NonfiniteB int64 // values of b

	// Over elements that are numbers on both sides and finite:
	Finite  int64   // how many there are
	Max     float64 // |b − a|
	Sum     float64 // Σ |b − a|
	Squares float64 // Σ |b − a|²
	NormA   float64 // Σ |a|²
	NormB   float64 // Σ |b|²
	Dot     float64 // Σ ab, of complex numbers the real part of Σ a b̄
}

// DiffStage compares model 1 with model 0 of a span.
type DiffStage struct {
	Result Difference
	dtype  format.DType // of both, where they have the same
	order  InOrder[Difference]
}

// NewDiffStage makes a stage for a tensor of one type, or [format.Invalid] for two that are both
// computed with. Operands of a type that weld does not compute with come as bytes.
func NewDiffStage(dtype format.DType) *DiffStage {
	st := &DiffStage{dtype: dtype}
	st.order.Fold = st.Result.add
	return st
}

// Compared says what [Difference] counts of tensors of a type: values, whose distance it has as well,
// elements that are equal or not, or bytes.
func Compared(d format.DType) string {
	switch comparisonOf(d) {
	case asElements:
		return "elements"
	case asBytes:
		return "bytes"
	}
	return "values"
}

// Reads implements [Stage].
func (st *DiffStage) Reads() Reads { return Reads{Models: true} }

// End implements [Stage].
func (st *DiffStage) End() error { return nil }

// Span implements [Stage].
func (st *DiffStage) Span(s *Scratch, sp *Span) error {
	tiles := make([]Difference, 0, sp.Last-sp.First)
	for t := range sp.Tiles {
		tiles = append(tiles, st.tile(s, sp.Models[0], sp.Models[1], t))
	}
	st.order.Add(sp.First, tiles)
	return nil
}

func (st *DiffStage) tile(s *Scratch, opA, opB Operand, t Tile) (d Difference) {
	a, b := opA.Of(t), opB.Of(t)
	if st.dtype == format.Invalid {
		s.Reset()
		x, y := Take[float64](s, t.Len()), Take[float64](s, t.Len())
		format.Decode(opA.DType, x, a)
		format.Decode(opB.DType, y, b)
		d.values(x, y, func(i int) bool { return math.Float64bits(x[i]) == math.Float64bits(y[i]) })
		return d
	}
	switch comparisonOf(st.dtype) {
	case asBytes:
		d.units(a, b, 1)
	case asElements:
		d.units(a, b, st.dtype.Bits()/8)
	case asIntegers:
		d.integers(a, b, st.dtype == format.U64)
	case asComplex:
		d.complexes(a, b)
	default:
		d.elements(s, st.dtype, a, b)
	}
	return d
}

func (d *Difference) add(next Difference) {
	d.Elements += next.Elements
	d.Different += next.Different
	d.Nonfinite += next.Nonfinite
	d.NonfiniteA += next.NonfiniteA
	d.NonfiniteB += next.NonfiniteB
	d.Finite += next.Finite
	d.Max = max(d.Max, next.Max)
	d.Sum += next.Sum
	d.Squares += next.Squares
	d.NormA += next.NormA
	d.NormB += next.NormB
	d.Dot += next.Dot
}

// units compares elements of so many bytes, which are equal or not.
func (d *Difference) units(a, b []byte, width int) {
	d.Elements += int64(len(a) / width)
	if bytes.Equal(a, b) {
		return
	}
	for at := 0; at < len(a); at += width {
		if !bytes.Equal(a[at:at+width], b[at:at+width]) {
			d.Different++
		}
	}
}

// elements compares the values of elements of one type, a tile of the scratch at a time: types below
// 8 bits have more of them than the tile has bytes.
func (d *Difference) elements(s *Scratch, dtype format.DType, a, b []byte) {
	for bits := dtype.Bits(); len(a) > 0; {
		s.Reset()
		n := min(len(a)*8/bits, TileElements)
		x, y := Take[float64](s, n), Take[float64](s, n)
		decodeAny(dtype, x, a)
		decodeAny(dtype, y, b)
		size, width := n*bits/8, max(1, bits/8)
		d.values(x, y, func(i int) bool { return bytes.Equal(a[i*width:(i+1)*width], b[i*width:(i+1)*width]) })
		a, b = a[size:], b[size:]
	}
}

// values compares numbers. same is asked for elements that are not finite: there values do not tell
// whether the bits are the same.
func (d *Difference) values(a, b []float64, same func(i int) bool) {
	d.Elements += int64(len(a))
	for i, x := range a {
		y := b[i]
		delta := math.Abs(y - x)
		if !(delta <= math.MaxFloat64) {
			if d.nonfinite(finite(x), finite(y), func() bool { return same(i) }) {
				continue
			}
			delta = math.MaxFloat64 // of opposite ends of float64
		}
		if math.Float64bits(x) != math.Float64bits(y) {
			d.Different++
		}
		d.finite(delta, x*x, y*y, x*y)
	}
}

// nonfinite counts an element of which one value is not finite; false if both are.
func (d *Difference) nonfinite(finiteA, finiteB bool, same func() bool) bool {
	if finiteA && finiteB {
		return false
	}
	if !finiteA {
		d.NonfiniteA++
	}
	if !finiteB {
		d.NonfiniteB++
	}
	if finiteA != finiteB || !same() {
		d.Different++
		d.Nonfinite++
	}
	return true
}

// finite counts an element whose values are numbers.
func (d *Difference) finite(delta, normA, normB, dot float64) {
	d.Finite++
	d.Max = max(d.Max, delta)
	d.Sum += delta
	d.Squares += float64(delta * delta)
	d.NormA += float64(normA)
	d.NormB += float64(normB)
	d.Dot += float64(dot)
}

func finite(x float64) bool { return math.Abs(x) <= math.MaxFloat64 }

// integers compares whole numbers of 64 bits. Differences are taken before they are rounded.
func (d *Difference) integers(a, b []byte, unsigned bool) {
	d.Elements += int64(len(a) / 8)
	for at := 0; at < len(a); at += 8 {
		p, q := binary.LittleEndian.Uint64(a[at:]), binary.LittleEndian.Uint64(b[at:])
		x, y, below := float64(p), float64(q), p < q
		if !unsigned {
			x, y, below = float64(int64(p)), float64(int64(q)), int64(p) < int64(q)
		}
		delta := p - q
		if below {
			delta = q - p
		}
		if delta != 0 {
			d.Different++
		}
		d.finite(float64(delta), x*x, y*y, x*y)
	}
}

// complexes compares pairs of float32 as complex numbers.
func (d *Difference) complexes(a, b []byte) {
	part := func(p []byte) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(p))) }
	d.Elements += int64(len(a) / 8)
	for at := 0; at < len(a); at += 8 {
		same := bytes.Equal(a[at:at+8], b[at:at+8])
		re, im, re2, im2 := part(a[at:]), part(a[at+4:]), part(b[at:]), part(b[at+4:])
		if d.nonfinite(finite(re) && finite(im), finite(re2) && finite(im2), func() bool { return same }) {
			continue
		}
		if !same {
			d.Different++
		}
		d.finite(math.Hypot(re2-re, im2-im), float64(re*re)+float64(im*im), float64(re2*re2)+float64(im2*im2), float64(re*re2)+float64(im*im2))
	}
}

// Mean is the mean of |b − a| over the elements that are finite; known is false where there are none.
func (d Difference) Mean() (mean float64, known bool) {
	if d.Finite == 0 {
		return 0, false
	}
	return min(d.Sum/float64(d.Finite), math.MaxFloat64), true
}

// Relative is ‖b − a‖ / ‖a‖, 0 where both are 0, −1 where only a is; known is false where nothing is finite,
// or the norms are beyond float64.
func (d Difference) Relative() (relative float64, known bool) {
	switch {
	case d.Finite == 0 || !finite(d.Squares) || !finite(d.NormA):
		return 0, false
	case d.Squares == 0:
		return 0, true
	case d.NormA == 0:
		return -1, true
	}
	return min(math.Sqrt(d.Squares/d.NormA), math.MaxFloat64), true
}

// Cosine is the cosine of the angle between the tensors; known is false where there is none, because one
// of them is 0, nothing is finite, or the norms are beyond float64.
func (d Difference) Cosine() (cosine float64, known bool) {
	if d.NormA == 0 || d.NormB == 0 || !finite(d.NormA) || !finite(d.NormB) || !finite(d.Dot) {
		return 0, false
	}
	return d.Dot / (math.Sqrt(d.NormA) * math.Sqrt(d.NormB)), true
}
