package fuse

import (
	"fmt"
	"math"

	"weld/format"
	"weld/internal/vec"
)

// Nonfinite says what happens to a result that is infinite or NaN, where the
// sources differ.
type Nonfinite uint8

const (
	// StopNonfinite ends the run with a [NonfiniteError].
	StopNonfinite Nonfinite = iota
	// PropagateNonfinite writes what the arithmetic gave.
	PropagateNonfinite
	// BaseNonfinite writes the base's value instead.
	BaseNonfinite
)

// NonfiniteError reports a value that is not finite where it matters.
type NonfiniteError struct {
	Tensor string
	Index  int64 // element, in C order
	Model  int   // index in the recipe, or -1 where no single model is to blame
	Score  bool  // the model's importance score, not the result
	Value  float64
	DType  format.DType // of the output, which cannot hold a finite Value
}

func (e *NonfiniteError) Error() string {
	what := "the result"
	if e.Score {
		what = "the importance score"
	}
	if e.Value-e.Value == 0 {
		return fmt.Sprintf("tensor %q, element %d: %s is %v, too large for %v", e.Tensor, e.Index, what, e.Value, e.DType)
	}
	return fmt.Sprintf("tensor %q, element %d: %s is %v", e.Tensor, e.Index, what, e.Value)
}

// finisher turns finished tiles into output bytes.
type finisher struct {
	job    *Job
	policy Nonfinite
}

// encode rounds a tile into the span's output after the check for values that are
// not finite. It returns how many of those it let pass or replaced.
func encode[T vec.Float](f finisher, sp *Span, t Tile, out []T) (odd int64, err error) {
	size := sp.OutDType.Bits() / 8
	dst := sp.Out[t.At*size : (t.At+len(out))*size]
	if format.EncodeFinite(sp.OutDType, dst, out) {
		return 0, nil
	}
	limit := format.Overflow[T](sp.OutDType)
	for from := 0; ; {
		i := vec.FirstNonFinite(out[from:], limit)
		if i < 0 {
			break
		}
		i += from
		from = i + 1
		if unanimous[T](sp, t, i) {
			continue
		}
		odd++
		switch f.policy {
		case StopNonfinite:
			return odd, f.blame(sp, t, i, float64(out[i]))
		case BaseNonfinite:
			if sp.Base.Data != nil {
				out[i] = element[T](sp.Base, t, i)
			}
		}
	}
	format.Encode(sp.OutDType, dst, out)
	return odd, nil
}

// element decodes element i of a tile.
func element[T vec.Float](o Operand, t Tile, i int) T {
	size := o.DType.Bits() / 8
	var one [1]T
	format.Decode(o.DType, one[:], o.tile(t)[i*size:(i+1)*size])
	return one[0]
}

// unanimous reports whether all sources have the same infinity or NaN at element i:
// then it is meant to stay.
func unanimous[T vec.Float](sp *Span, t Tile, i int) bool {
	first := sp.Base
	if first.Data == nil {
		first = sp.Models[0]
	}
	want := element[T](first, t, i)
	if float64(want-want) == 0 {
		return false // finite: it is the arithmetic or the output's type that is not
	}
	for _, m := range sp.Models {
		if m.Data != nil && !sameBits(element[T](m, t, i), want) {
			return false
		}
	}
	return true
}

func sameBits[T vec.Float](a, b T) bool {
	// Widening is exact but for NaN payloads, which Float64bits then compares.
	return math.Float64bits(float64(a)) == math.Float64bits(float64(b))
}

// blame names the model whose own value is not finite, if there is one.
func (f finisher) blame(sp *Span, t Tile, i int, value float64) error {
	e := &NonfiniteError{Tensor: f.job.Name, Index: t.Lo + int64(i), Model: -1, Value: value, DType: sp.OutDType}
	for m, o := range sp.Models {
		if o.Data == nil {
			continue
		}
		if x := element[float64](o, t, i); math.IsNaN(x) || math.IsInf(x, 0) {
			e.Model = m
			break
		}
	}
	return e
}
