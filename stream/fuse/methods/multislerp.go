package methods

import (
	"fmt"
	"math"

	"weld/internal/vec"
	"weld/stream/fuse"
	"weld/stream/fuse/sphere"
	"weld/stream/recipe"
)

func init() {
	register(definition[multislerpParams, weighted]{
		MethodSchema: recipe.MethodSchema{
			Name:    "multislerp",
			Summary: "the weighted mean on the sphere, to first order, of any number of models or task vectors",
			Source:  "https://goddard.blog/posts/multislerp-wow-what-a-cool-idea/",
			Formula: `θ = Σ wₖ‖vₖ‖ · m/‖m‖ · cos ε,  m = Σ wₖuₖ,  uₖ = vₖ/(‖vₖ‖ + ε)
v are the models or, with a base, their task vectors, to which the base is added;
whole tensors; ε is eps`,
			Base: recipe.Optional, MinModels: 1,
		},
		family: averages,
		formula: formula[multislerpParams, weighted]{
			single: multislerp[float32], double: multislerp[float64], reads: fuse.Reads{Base: true, Models: true}, tiles: sphere.Tiles,
			state: func(j *fuse.Job, _ *multislerpParams) int64 { return sphere.Bytes(j, fuse.WholeLine(j)) },
		},
	})
}

type multislerpParams struct {
	Normalize bool    `key:"normalize_weights" default:"true" help:"divide the weights by their sum"`
	Eps       float64 `key:"eps" default:"1e-8" min:"0" max:"1" help:"norm below which a vector counts as 0"`
}

// multislerpCancelled is the share of its terms below which a sum of directions is what
// rounding left of them.
const multislerpCancelled = 1e-7

// multislerp is the barycentre of any number of models on the sphere, or with a base of
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
func multislerp[T vec.Float](f *fused[multislerpParams, weighted]) []fuse.Stage {
	if f.Count() == 1 {
		return alone[T](f.Fusion)
	}
	w, eps := weights(f.each), f.all.Eps
	if f.all.Normalize {
		var sum float64
		for _, x := range w {
			sum += x
		}
		if sum == 0 {
			return fuse.Fails(fmt.Errorf("tensor %q: the weights add up to 0 and cannot be normalised; set normalize_weights false", f.Name))
		}
		for k := range w {
			w[k] /= sum
		}
	}
	b := sphere.Blend[T]{Fusion: f.Fusion, Lines: fuse.WholeLine(f.Job), Deltas: f.Based}
	b.Mix = func(c []float64, g sphere.Gram) {
		var norm, terms float64
		for k := range c {
			n := g.Norm(k)
			c[k] = 0
			if n+eps != 0 {
				c[k] = w[k] / (n + eps)
			}
			norm += float64(w[k] * n)
			terms += math.Abs(float64(c[k] * n))
		}
		length := g.Length(c)
		if length < eps || length <= multislerpCancelled*terms {
			copy(c, w)
			return
		}
		for k := range c {
			c[k] *= norm / length * sphere.Cosine(eps)
		}
	}
	return b.Stages()
}
