package fuse

import (
	"bytes"
	"math"

	"weld/format"
)

// Difference is how two tensors differ, element by element, in float64.
type Difference struct {
	Elements  int64
	Different int64   // elements whose bits differ
	Nonfinite int64   // of these, where the difference is no finite number
	Max       float64 // |b − a|, over the finite ones, as all that follows
	Sum       float64 // Σ |b − a|
	Squares   float64 // Σ (b − a)²
	NormA     float64 // Σ a²
	NormB     float64 // Σ b²
	Dot       float64 // Σ ab
}

// DiffStage compares model 1 with model 0 of a span. Tensors whose type weld does
// not compute with are compared byte by byte.
type DiffStage struct {
	Result Difference
	order  inOrder[Difference]
}

// NewDiffStage makes a stage for one tensor.
func NewDiffStage() *DiffStage {
	st := new(DiffStage)
	st.order.fold = st.Result.add
	return st
}

// Reads implements [Stage].
func (st *DiffStage) Reads() Reads { return Reads{Models: true} }

// End implements [Stage].
func (st *DiffStage) End() error { return nil }

// Span implements [Stage].
func (st *DiffStage) Span(s *Scratch, sp *Span) error {
	a, b := sp.Models[0], sp.Models[1]
	tiles := make([]Difference, 0, sp.Last-sp.First)
	for t := range sp.Tiles {
		s.reset()
		if !a.DType.Computable() {
			tiles = append(tiles, diffBytes(a.tile(t), b.tile(t)))
			continue
		}
		x, y := take[float64](s, t.Len()), take[float64](s, t.Len())
		format.Decode(a.DType, x, a.tile(t))
		format.Decode(b.DType, y, b.tile(t))
		tiles = append(tiles, diffValues(x, y))
	}
	st.order.add(sp.First, tiles)
	return nil
}

func (d *Difference) add(next Difference) {
	d.Elements += next.Elements
	d.Different += next.Different
	d.Nonfinite += next.Nonfinite
	d.Max = max(d.Max, next.Max)
	d.Sum += next.Sum
	d.Squares += next.Squares
	d.NormA += next.NormA
	d.NormB += next.NormB
	d.Dot += next.Dot
}

func diffBytes(a, b []byte) Difference {
	d := Difference{Elements: int64(len(a))}
	if bytes.Equal(a, b) {
		return d
	}
	for i := range a {
		if a[i] != b[i] {
			d.Different++
		}
	}
	return d
}

func diffValues(a, b []float64) Difference {
	d := Difference{Elements: int64(len(a))}
	for i, x := range a {
		y := b[i]
		same := math.Float64bits(x) == math.Float64bits(y)
		if !same {
			d.Different++
		}
		delta := math.Abs(y - x)
		if !(delta <= math.MaxFloat64) {
			if !same {
				d.Nonfinite++
			}
			continue
		}
		d.Max = max(d.Max, delta)
		d.Sum += delta
		d.Squares += float64(delta * delta)
		d.NormA += float64(x * x)
		d.NormB += float64(y * y)
		d.Dot += float64(x * y)
	}
	return d
}

// Relative is ‖b − a‖ / ‖a‖, 0 where both are 0, −1 where only a is.
func (d Difference) Relative() float64 {
	switch {
	case d.Squares == 0:
		return 0
	case d.NormA == 0:
		return -1
	}
	return math.Sqrt(d.Squares / d.NormA)
}

// Cosine is the cosine of the angle between the tensors, 1 where both are 0.
func (d Difference) Cosine() float64 {
	if d.NormA == 0 && d.NormB == 0 {
		return 1
	}
	if d.NormA == 0 || d.NormB == 0 {
		return 0
	}
	return d.Dot / (math.Sqrt(d.NormA) * math.Sqrt(d.NormB))
}
