package methods

import (
	"math"

	"weld/internal/vec"
	"weld/stream/fuse"
	"weld/stream/fuse/sphere"
	"weld/stream/recipe"
)

func init() {
	register(definition[nuslerpParams, weighted]{
		MethodSchema: recipe.MethodSchema{
			Name:    "nuslerp",
			Summary: "on the great circle between two models, or their task vectors, by their weights",
			Source:  "Shoemake 1985",
			Formula: `θ = sin((1−t)φ)/sin φ · v₁ + sin(tφ)/sin φ · v₂,  t = w₂ / (w₁ + w₂)
v are the two models or, with a base, their task vectors, to which the base is added
φ is the angle between whole tensors; with nuslerp_flatten: false between rows, or
with nuslerp_row_wise: true between columns`,
			Base: recipe.Optional, MinModels: 2, MaxModels: 2,
		},
		family: twoModels,
		formula: formula[nuslerpParams, weighted]{
			single: nuslerp[float32], double: nuslerp[float64], reads: fuse.Reads{Base: true, Models: true}, tiles: sphere.Tiles,
			state: func(j *fuse.Job, all *nuslerpParams) int64 {
				if of, ok := nuslerpLines(j, all); ok {
					return sphere.Bytes(j, of)
				}
				return sphere.ColumnBytes(j)
			},
		},
	})
}

type nuslerpParams struct {
	Flatten bool `key:"nuslerp_flatten" default:"true" help:"a tensor is one vector; else its rows are vectors"`
	RowWise bool `key:"nuslerp_row_wise" help:"columns are vectors, with nuslerp_flatten false (mergekit's name for it)"`
}

const (
	nuslerpLeastNorm = 1e-7  // what a smaller norm counts as
	nuslerpParallel  = 1e-12 // a squared sine up to which the arc gives way to the line
	nuslerpBalanced  = 1e-6  // a sum of weights below which both models weigh the same
)

// nuslerp is slerp with a weight for each of the two models, between the models or, with
// a base, between their task vectors (mergekit's NuSLERP). The points are whole tensors;
// without nuslerp_flatten they are the vectors along the last dimension, or along the first
// one with nuslerp_row_wise.
func nuslerp[T vec.Float](f *fused[nuslerpParams, weighted]) []fuse.Stage {
	if f.Count() == 1 {
		return alone[T](f.Fusion)
	}
	t := 0.5
	if w := weights(f.each); math.Abs(w[0]+w[1]) >= nuslerpBalanced {
		t = w[1] / (w[0] + w[1])
	}
	of, ok := nuslerpLines(f.Job, f.all)
	b := sphere.Blend[T]{Fusion: f.Fusion, Lines: of, Deltas: f.Based, Mix: func(c []float64, g sphere.Gram) {
		cos := sphere.ClampCosine(g.Dot(0, 1) / max(g.Norm(0), nuslerpLeastNorm) / max(g.Norm(1), nuslerpLeastNorm))
		if (1-cos)*(1+cos) <= nuslerpParallel {
			sphere.Chord(c, t)
			return
		}
		sphere.Arc(c, t, sphere.ArcCosine(cos))
	}}
	if !ok {
		return b.ColumnStages()
	}
	return b.Stages()
}

// nuslerpLines are the vectors, if their elements are consecutive.
func nuslerpLines(j *fuse.Job, all *nuslerpParams) (of fuse.Lines, ok bool) {
	switch {
	case all.Flatten || len(j.Shape) < 2:
		return fuse.WholeLine(j), true
	case all.RowWise:
		return fuse.Lines{}, false
	}
	return fuse.LinesOf(j), true
}
