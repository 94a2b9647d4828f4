package scoring

import (
	"math"

	"weld/internal/vec"
)

// Threshold is the rule of a mask: which scores are kept.
type Threshold struct {
	All bool    // keep everything, scores of 0 too
	T   float32 // otherwise keep s ≥ T and s > 0
}

// KeepAll keeps everything, KeepNone nothing.
var (
	KeepAll  = Threshold{All: true}
	KeepNone = Threshold{T: float32(math.Inf(1))}
)

// Raw is the same rule for scores that sc has not normalised.
func (t Threshold) Raw(sc Scale) Threshold {
	if t.All {
		return t
	}
	return Threshold{T: sc.least(max(t.T, math.SmallestNonzeroFloat32))}
}

// Select sets to 0 the elements of x whose scores are not kept, and returns how
// many scores are.
func Select[T vec.Float](t Threshold, x []T, s []float32) int {
	if t.All {
		return len(x)
	}
	return vec.Select(x, s, t.T)
}

// AddSelected adds w·x to acc where scores are kept, and returns how many are: [Select] on a
// copy of x, and a sum.
func AddSelected[T vec.Float](t Threshold, acc []T, w T, x []T, s []float32) int {
	if t.All {
		vec.Axpy(acc, w, x)
		return len(x)
	}
	return vec.SelectAxpy(acc, w, x, s, t.T)
}

// Kept counts the scores that are kept.
func (t Threshold) Kept(s []float32) int {
	if t.All {
		return len(s)
	}
	return vec.CountAtLeast(s, t.T)
}
