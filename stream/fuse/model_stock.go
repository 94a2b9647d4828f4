package fuse

import (
	"math"

	"weld/internal/vec"
)

func init() {
	formulas["model_stock"] = formula{
		single: modelStock[float32],
		double: modelStock[float64],
		reads:  Reads{Base: true, Models: true},
		tiles:  blendTiles,
		state:  func(j *Job) int64 { return blendBytes(j, stockLines(j)) },
	}
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
func modelStock[T vec.Float](j *job) []Stage {
	n := float64(j.models())
	if n < 2 {
		j.narrow(true)
		return []Stage{produce(j, input[T].base)}
	}
	b := blend[T]{job: j, lines: stockLines(j.Job), deltas: true, mix: func(c []float64, g gram) {
		cos := stockCosine(g)
		t, under := 0.0, 1+float64((n-1)*cos)
		if !(math.Abs(under) < stockSingular) {
			t = n * cos / under
		}
		for k := range c {
			c[k] = t / n
		}
	}}
	return b.stages()
}

func stockLines(j *Job) lines {
	if j.Params.Bool("filter_wise") {
		return linesOf(j)
	}
	return wholeLine(j)
}

// stockCosine is the mean cosine over all pairs.
func stockCosine(g gram) float64 {
	var sum float64
	for i := range g.n {
		for j := i + 1; j < g.n; j++ {
			sum += clampCosine(g.dot(i, j) / max(g.norm(i)*g.norm(j), stockLeastNorms))
		}
	}
	return sum / float64(g.n*(g.n-1)/2)
}
