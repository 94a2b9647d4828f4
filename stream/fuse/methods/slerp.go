package methods

import (
	"weld/internal/vec"
	"weld/stream/fuse"
	"weld/stream/fuse/sphere"
	"weld/stream/recipe"
)

func init() {
	register(definition[slerpParams, none]{
		MethodSchema: recipe.MethodSchema{
			Name:    "slerp",
			Summary: "on the great circle between two models",
			Source:  "Shoemake 1985",
			Formula: `θ = sin((1−t)φ)/sin φ · θ₁ + sin(tφ)/sin φ · θ₂,  cos φ = ⟨θ₁, θ₂⟩/(‖θ₁‖‖θ₂‖)
of whole tensors; (1−t)·θ₁ + t·θ₂ where |cos φ| > 0.9995
θ₁ is the base`,
			Base: recipe.Required, BaseIs: recipe.BaseFirst, MinModels: 2, MaxModels: 2,
		},
		family: twoModels, exact: true,
		formula: formula[slerpParams, none]{
			single: slerp[float32], double: slerp[float64], reads: fuse.Reads{Models: true}, tiles: sphere.Tiles,
			state: func(j *fuse.Job, _ *slerpParams) int64 { return sphere.Bytes(j, fuse.WholeLine(j)) },
		},
	})
}

type slerpParams struct {
	T float64 `key:"t" example:"0.5" flags:"required" help:"0 gives the base, 1 the other model"`
}

const (
	slerpNoNorm   = 1e-8   // a norm up to which a tensor has no direction
	slerpParallel = 0.9995 // a cosine, of either sign, beyond which the arc gives way to the line
)

// slerp goes from the first model, at t = 0, to the second along the arc between them
// (Shoemake 1985). Whole tensors are the points, and keep their norms as they are:
//
//	θ = sin((1−t)φ)/sin φ · θ₁ + sin(tφ)/sin φ · θ₂,  cos φ = ⟨θ₁, θ₂⟩/(‖θ₁‖‖θ₂‖)
func slerp[T vec.Float](f *fused[slerpParams, none]) []fuse.Stage {
	if f.Count() == 1 {
		return alone[T](f.Fusion)
	}
	t := f.all.T
	b := sphere.Blend[T]{Fusion: f.Fusion, Lines: fuse.WholeLine(f.Job)}
	b.Mix = func(c []float64, g sphere.Gram) {
		norm := func(i int) float64 {
			if n := g.Norm(i); !(n <= slerpNoNorm) {
				return n
			}
			return 1
		}
		cos := sphere.ClampCosine(g.Dot(0, 1) / norm(0) / norm(1))
		if cos > slerpParallel || cos < -slerpParallel {
			sphere.Chord(c, t)
			return
		}
		sphere.Arc(c, t, sphere.ArcCosine(cos))
	}
	return b.Stages()
}
