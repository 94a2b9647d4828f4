package scoring

import (
	"math"

	"weld/internal/vec"
)

// Cut is a mask rule: which scores are kept.
type Cut struct {
	All bool    // keep everything, scores of 0 too
	T   float32 // otherwise keep s ≥ T and s > 0
}

// CutAll keeps everything, CutNone nothing.
var (
	CutAll  = Cut{All: true}
	CutNone = Cut{T: float32(math.Inf(1))}
)

// Raw is the same rule for scores that sc has not normalised.
func (c Cut) Raw(sc Scale) Cut {
	if c.All {
		return c
	}
	return Cut{T: sc.least(max(c.T, math.SmallestNonzeroFloat32))}
}

// Select sets to 0 the elements of x whose scores are not kept, and returns how
// many scores are.
func Select[T vec.Float](c Cut, x []T, s []float32) int {
	if c.All {
		return len(x)
	}
	return vec.Select(x, s, c.T)
}

// AddSelected adds w·x to acc where scores are kept, and returns how many are: [Select] on a
// copy of x, and a sum.
func AddSelected[T vec.Float](c Cut, acc []T, w T, x []T, s []float32) int {
	if c.All {
		vec.Axpy(acc, w, x)
		return len(x)
	}
	return vec.SelectAxpy(acc, w, x, s, c.T)
}

// Kept counts the scores that are kept.
func (c Cut) Kept(s []float32) int {
	if c.All {
		return len(s)
	}
	return vec.CountAtLeast(s, c.T)
}
