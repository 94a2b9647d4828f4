package methods

import (
	"math"

	"weld/internal/vec"
	"weld/stream/fuse"
	"weld/stream/fuse/sphere"
	"weld/stream/recipe"
)

func init() {
	register(definition[stockParams, none]{
		MethodSchema: recipe.MethodSchema{
			Name:    "model_stock",
			Summary: "between the base and the mean of the models, by the angles between their task vectors",
			Source:  "arXiv 2403.19522",
			Formula: `θ = t · mean θₜ + (1−t) · θ₀,  t = Nc/(1+(N−1)c)
c is the mean cosine of pairs of the N task vectors, of whole tensors or, with
filter_wise, of each row`,
			Base: recipe.Required, MinModels: 2,
		},
		family: inCommon,
		formula: formula[stockParams, none]{
			single: modelStock[float32], double: modelStock[float64], reads: fuse.Reads{Base: true, Models: true}, tiles: sphere.Tiles,
			state: func(j *fuse.Job, all *stockParams) int64 { return sphere.Bytes(j, stockLines(j, all)) },
		},
	})
}

type stockParams struct {
	FilterWise bool `key:"filter_wise" help:"for each row by itself"`
}

const (
	stockLeastNorms = 1e-6 // what a smaller product of two norms counts as
	stockSingular   = 1e-6 // a denominator below which the base stays
)

// modelStock goes from θ₀ towards the mean of N fine-tuned models, as far as their
// agreement allows (Model Stock, arXiv 2403.19522). With the mean cosine c of pairs of task
// vectors,
//
//	θ = θ₀ + t/N Σ δₖ,  t = N·c/(1 + (N−1)·c)
//
// of whole tensors or, with filter_wise, of each vector along the last dimension. Of fewer
// than two models there is no pair, and the base stays.
func modelStock[T vec.Float](f *fused[stockParams, none]) []fuse.Stage {
	n := float64(f.Count())
	if n < 2 {
		return baseStays[T](f.Fusion)
	}
	b := sphere.Blend[T]{Fusion: f.Fusion, Lines: stockLines(f.Job, f.all), Deltas: true, Mix: func(c []float64, g sphere.Gram) {
		cos := stockCosine(g)
		t, under := 0.0, 1+float64((n-1)*cos)
		if !(math.Abs(under) < stockSingular) {
			t = n * cos / under
		}
		for k := range c {
			c[k] = t / n
		}
	}}
	return b.Stages()
}

func stockLines(j *fuse.Job, all *stockParams) fuse.Lines {
	if all.FilterWise {
		return fuse.LinesOf(j)
	}
	return fuse.WholeLine(j)
}

// stockCosine is the mean cosine over all pairs.
func stockCosine(g sphere.Gram) float64 {
	var sum float64
	for i := range g.N {
		for j := i + 1; j < g.N; j++ {
			sum += sphere.ClampCosine(g.Dot(i, j) / max(g.Norm(i)*g.Norm(j), stockLeastNorms))
		}
	}
	return sum / float64(g.N*(g.N-1)/2)
}
