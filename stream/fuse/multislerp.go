package fuse

import (
	"fmt"
	"math"

	"weld/internal/vec"
)

func init() {
	formulas["multislerp"] = formula{
		single: multislerp[float32],
		double: multislerp[float64],
		reads:  Reads{Base: true, Models: true},
		tiles:  blendTiles,
		state:  func(j *Job) int64 { return blendBytes(j, wholeLine(j)) },
		lone:   only,
	}
}

// multislerpCancelled is the share of its terms below which a sum of directions is what
// rounding left of them.
const multislerpCancelled = 1e-7

// multislerp is the barycentre of any number of models on the sphere, or with with_base of
// their task vectors (https://goddard.blog/posts/multislerp-wow-what-a-cool-idea). With the
// directions uₖ = vₖ/(‖vₖ‖ + ε) and their weighted mean m = Σ wₖuₖ,
//
//	θ = Σ wₖ‖vₖ‖ · m/‖m‖ · cos ε
//
// As published, the directions are projected onto the tangent space at m/‖m‖, averaged there
// with the same weights, and the average is mapped back with ε added to its length. But the
// average of the projections is the projection of m, which is 0; the cosine is what remains.
//
// Where directions cancel, or all vectors are 0, there is no m/‖m‖, and θ = Σ wₖvₖ.
func multislerp[T vec.Float](j *job) []Stage {
	if j.models() == 1 {
		return alone[T](j)
	}
	w, eps := j.weights(), j.shared("eps")
	if j.shared("normalize_weights") != 0 {
		var sum float64
		for _, x := range w {
			sum += x
		}
		if sum == 0 {
			return fails(fmt.Errorf("tensor %q: the weights add up to 0 and cannot be normalised; set normalize_weights false", j.Name))
		}
		for k := range w {
			w[k] /= sum
		}
	}
	b := blend[T]{job: j, lines: wholeLine(j.Job), deltas: j.shared("with_base") != 0}
	b.mix = func(c []float64, g gram) {
		var norm, terms float64
		for k := range c {
			n := g.norm(k)
			c[k] = 0
			if n+eps != 0 {
				c[k] = w[k] / (n + eps)
			}
			norm += float64(w[k] * n)
			terms += math.Abs(float64(c[k] * n))
		}
		length := g.length(c)
		if length < eps || length <= multislerpCancelled*terms {
			copy(c, w)
			return
		}
		for k := range c {
			c[k] *= norm / length * cosine(eps)
		}
	}
	return b.stages()
}
