package methods

import (
	"weld/internal/vec"
	"weld/stream/fuse"
	"weld/stream/recipe"
)

func init() {
	register(definition[sceParams, none]{
		MethodSchema: recipe.MethodSchema{
			Name:    "sce",
			Summary: "select elements by their variance over models, weigh models by their energy, erase what is against the elected sign",
			Source:  "arXiv 2408.07990",
			Formula: `select     δₜ ← 0 but where the variance of δ over the models is among the highest
calculate  wₜ = mean δₜ² / Σ mean δ²
erase      mₜ = [sign δₜ = sign Σ δ]
θ = θ₀ + Σ mₜwₜδₜ / Σ mₜwₜ`,
			Base: recipe.Required, MinModels: 1,
		},
		family: inCommon,
		deviations: []Deviation{equalScores,
			{Name: "sce-energy", Text: "models are weighed by their energy however small it is, where mergekit weighs all alike below 1e-6"},
			{Name: "sce-divisor", Text: "the sum of the weights that agree divides however small it is, where mergekit takes at least 1e-6"}},
		formula: formula[sceParams, none]{
			single: sce[float32], double: sce[float64], reads: fuse.Reads{Base: true, Models: true},
			tiles: func(models int) int { return models + 8 + fuse.HeldTiles },
			state: func(j *fuse.Job, _ *sceParams) int64 { return fuse.TopKBytes(j) },
		},
	})
}

type sceParams struct {
	SelectTopK float64 `key:"select_topk" default:"1" example:"0.5" min:"0" max:"1" help:"share of the elements that differ to keep, those with the largest variance"`
	Int8Mask   bool    `key:"int8_mask" help:"has no effect; mergekit's choice of a type for masks"`
}

// sce is the fusion of FuseChat (arXiv 2408.07990, section 3.2.2): select, calculate, erase.
//
//	select     δₜ ← 0 but where the variance of δ over the models is among the highest
//	calculate  wₜ = mean δₜ² / Σ mean δ²
//	erase      mₜ = [sign δₜ = sign Σ δ]
//	θ = θ₀ + Σ mₜwₜδₜ / Σ mₜwₜ
//
// select_topk is the share of those elements whose variance is not 0 that are selected; 1 selects
// all, and those of no variance too.
func sce[T vec.Float](f *fused[sceParams, none]) []fuse.Stage {
	reads := fuse.Reads{Base: true, Models: true}
	pick := fuse.NewTopK(f.Job, f.Tiling.Elements())
	var stages []fuse.Stage
	if share := f.all.SelectTopK; share < 1 && f.Count() > 0 {
		pick = fuse.NewTopShare(f.Job, float32(share))
		stages = fuse.SearchTopK(f.Fusion, reads, []fuse.Selections[T]{{Of: []*fuse.TopK{pick}, Score: func(in fuse.Operands[T]) []float32 {
			return variances(in, in.Deltas(in.Base()))
		}}})
	}
	squares, weights := make([]float64, f.Count()), make([]T, f.Count())
	stages = append(stages, fuse.Measure(f.Fusion, reads, func(in fuse.Operands[T]) []float64 {
		sums := make([]float64, len(squares))
		for k, d := range selectedDeltas(in, pick, in.Base()) {
			sums[k] = finiteSquares(d)
		}
		return sums
	}, func(sums []float64) {
		for k, x := range sums {
			squares[k] += x
		}
	}, func() error {
		total := sum(squares)
		for k, x := range squares {
			if x != 0 {
				weights[k] = T(x / total)
			}
		}
		return nil
	}))
	return append(stages, fuse.Produce(f.Fusion, func(in fuse.Operands[T]) []T {
		base := in.Base()
		vec.AddElected(base, selectedDeltas(in, pick, base), weights)
		return base
	}))
}

// selectedDeltas are 0 where an element is not selected.
func selectedDeltas[T vec.Float](in fuse.Operands[T], pick *fuse.TopK, base []T) [][]T {
	deltas := in.Deltas(base)
	var scores []float32
	if !pick.All() && !pick.None() {
		scores = variances(in, deltas)
	}
	for _, d := range deltas {
		fuse.KeepTop(pick, in.Tile, d, scores)
	}
	return deltas
}

// variances are those of an element over the models, of its differences from the first: so that of equal
// values is 0, and much is never taken from much.
func variances[T vec.Float](in fuse.Operands[T], deltas [][]T) []float32 {
	scores := fuse.Take[float32](in.Scratch, in.Len())
	vec.Variance(scores, deltas)
	return scores
}

// finiteSquares is Σ x² of what is finite. The others are set to 0.
func finiteSquares[T vec.Float](x []T) float64 {
	if s := vec.SumSquares(x); s-s == 0 {
		return s // and so are all its terms
	}
	for i, v := range x {
		if v-v != 0 {
			x[i] = 0
		}
	}
	return vec.SumSquares(x)
}
