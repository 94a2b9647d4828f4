package fuse

import (
	"math"

	"weld/internal/vec"
)

// This file has what several tools do to scores: float32 numbers, finite and at least 0.

var infinity = float32(math.Inf(1))

// NextUp is the next larger float32.
func NextUp(x float32) float32 { return math.Nextafter32(x, infinity) }

// Magnitudes are |x| as scores. What is not finite counts as the largest finite value, so that
// it is kept, and judged when it is written.
func Magnitudes[T vec.Float](in Operands[T], x []T) []float32 {
	s := Take[float32](in.Scratch, len(x))
	vec.Abs(s, Narrowed(in.Scratch, x))
	clampScores(s)
	return s
}

// clampScores makes scores finite.
func clampScores(s []float32) {
	for at := 0; ; {
		i := vec.FirstNonFinite(s[at:], infinity)
		if i < 0 {
			return
		}
		s[at+i] = math.MaxFloat32
		at += i + 1
	}
}
