package fuse

import "weld/internal/vec"

func init() {
	formulas["sce"] = formula{
		single: sce[float32], double: sce[float64], reads: Reads{Base: true, Models: true},
		tiles: func(models int) int { return models + 8 + heldTiles },
		state: topKBytes,
	}
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
func sce[T vec.Float](j *job) []Stage {
	reads := Reads{Base: true, Models: true}
	pick := newTopK(j, j.Tiling.Elements())
	var stages []Stage
	if share := j.shared("select_topk"); share < 1 && j.models() > 0 {
		pick.k, pick.share = 0, float32(max(0, share))
		stages = searchTopK(j, reads, []topKOf[T]{{[]*topK{pick}, func(in input[T]) []float32 {
			return variances(in, in.deltas(in.base()))
		}}})
	}
	squares, weights := make([]float64, j.models()), make([]T, j.models())
	stages = append(stages, measure(j, reads, func(in input[T]) []float64 {
		sums := make([]float64, len(squares))
		for k, d := range selectedDeltas(in, pick, in.base()) {
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
	return append(stages, produce(j, func(in input[T]) []T {
		base := in.base()
		vec.AddElected(base, selectedDeltas(in, pick, base), weights)
		return base
	}))
}

// selectedDeltas are 0 where an element is not selected.
func selectedDeltas[T vec.Float](in input[T], pick *topK, base []T) [][]T {
	deltas := in.deltas(base)
	var scores []float32
	if !pick.all() && !pick.none() {
		scores = variances(in, deltas)
	}
	for _, d := range deltas {
		keepTop(pick, in.Tile, d, scores)
	}
	return deltas
}

// variances are those of an element over the models, of its differences from the first: so that of equal
// values is 0, and much is never taken from much.
func variances[T vec.Float](in input[T], deltas [][]T) []float32 {
	scores := take[float32](in.s, in.Len())
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
