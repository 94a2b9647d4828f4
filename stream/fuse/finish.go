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

// Choices are the names of the policies, in order, as recipes write them.
func (Nonfinite) Choices() []string { return []string{"error", "propagate", "base"} }

// Culprit says whose value makes a result that is not finite.
type Culprit uint8

const (
	// Arithmetic is nobody's value: all are finite.
	Arithmetic Culprit = iota
	// OfModel is a value of a model.
	OfModel
	// OfImportance is a value of a model's importance.
	OfImportance
	// OfBase is a value of the base.
	OfBase
)

// NonfiniteError reports a value that is not finite where it matters.
type NonfiniteError struct {
	Tensor string
	Index  int64 // element, in C order
	Whose  Culprit
	Model  int  // index in the recipe, of OfModel and OfImportance; else -1
	Score  bool // it is the model's score that is not finite, not the result
	Value  float64
	Held   float64      // what the importance holds there, of OfImportance
	DType  format.DType // of the output, which cannot hold a finite Value
}

func (e *NonfiniteError) Error() string {
	what := "the result"
	switch {
	case e.Score && e.Whose == OfImportance:
		what = "the importance score"
	case e.Score:
		what = "the score"
	}
	if e.Value-e.Value == 0 {
		return fmt.Sprintf("tensor %q, element %d: %s is %v, too large for %v", e.Tensor, e.Index, what, e.Value, e.DType)
	}
	text := fmt.Sprintf("tensor %q, element %d: %s is %v", e.Tensor, e.Index, what, e.Value)
	if e.Held < 0 && e.Held-e.Held == 0 {
		text += fmt.Sprintf(", and the importance %.6g: means of squares are not negative", e.Held)
	}
	return text
}

// Finisher turns finished tiles into output bytes.
type Finisher struct {
	Job    *Job
	Policy Nonfinite
}

// Encode rounds a tile into the span's output after the check for values that are
// not finite. It returns how many of those it let pass or replaced.
func Encode[T vec.Float](f Finisher, sp *Span, t Tile, out []T) (nonfinite int64, err error) {
	dst := sp.out(t)
	if format.EncodeFinite(sp.OutDType, dst, out) {
		return 0, nil
	}
	limit := format.Overflow[T](sp.OutDType)
	var stop *NonfiniteError
	for from := 0; ; {
		i := vec.FirstNonFinite(out[from:], limit)
		if i < 0 {
			break
		}
		i += from
		from = i + 1
		if x, ok := unanimous[T](sp, t, i); ok {
			out[i] = x // whatever the arithmetic made of it
			continue
		}
		nonfinite++
		switch f.Policy {
		case StopNonfinite:
			// One value can spoil a whole line: better than its first element is the one that did.
			if e := f.blame(sp, t, i, float64(out[i])); stop == nil || stop.Whose == Arithmetic && e.Whose != Arithmetic {
				stop = e
			}
			if stop.Whose != Arithmetic {
				return nonfinite, stop
			}
		case BaseNonfinite:
			if sp.Base.Data != nil {
				out[i] = element[T](sp.Base, t, i)
			}
		}
	}
	if stop != nil {
		return nonfinite, stop
	}
	format.Encode(sp.OutDType, dst, out)
	return nonfinite, nil
}

// element decodes element i of a tile.
func element[T vec.Float](o Operand, t Tile, i int) T {
	size := o.DType.Bits() / 8
	var one [1]T
	format.Decode(o.DType, one[:], o.Of(t)[i*size:(i+1)*size])
	return one[0]
}

// unanimous reports whether all sources have the same infinity or NaN at element i, and which: it is meant to stay.
func unanimous[T vec.Float](sp *Span, t Tile, i int) (value T, ok bool) {
	known := false
	same := func(o Operand) bool {
		if o.Data == nil {
			return true // it does not have the tensor, or was not read
		}
		x := element[T](o, t, i)
		if !known {
			value, known = x, true
		}
		return x-x != 0 && SameBits(x, value)
	}
	if !same(sp.Base) {
		return 0, false
	}
	for _, m := range sp.Models {
		if !same(m) {
			return 0, false
		}
	}
	return value, known
}

// SameBits reports whether two numbers are the same, NaNs too.
func SameBits[T vec.Float](a, b T) bool {
	// Widening is exact but for NaN payloads, which Float64bits then compares.
	return math.Float64bits(float64(a)) == math.Float64bits(float64(b))
}

// blame names whose value is not finite, if one is.
func (f Finisher) blame(sp *Span, t Tile, i int, value float64) *NonfiniteError {
	e := &NonfiniteError{Tensor: f.Job.Name, Index: t.Lo + int64(i), Model: -1, Value: value, DType: sp.OutDType}
	for m := range sp.Models {
		if e.Whose, e.Held = CulpritAt(sp, t, i, m, value); e.Whose == OfModel || e.Whose == OfImportance {
			e.Model = m
			return e
		}
	}
	return e
}

// CulpritAt finds whose value at element i, among those that model m is merged with, is not finite and makes an outcome that is not. An outcome of NaN, where
// all are finite, is that of importance below zero, which has no root. held is the value of importance.
func CulpritAt(sp *Span, t Tile, i, m int, outcome float64) (whose Culprit, held float64) {
	at := func(o Operand) float64 {
		if o.Data == nil {
			return 0
		}
		return element[float64](o, t, i)
	}
	nonfinite := func(x float64) bool { return x-x != 0 }
	if m < len(sp.Importance) {
		held = at(sp.Importance[m])
	}
	switch {
	case nonfinite(at(sp.Models[m])):
		return OfModel, 0
	case nonfinite(held):
		return OfImportance, held
	case nonfinite(at(sp.Base)):
		return OfBase, 0
	case outcome != outcome && held < 0:
		return OfImportance, held
	}
	return Arithmetic, 0
}
