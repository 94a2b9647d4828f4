package fuse

import (
	"slices"

	"weld/internal/vec"
)

func init() {
	reads := Reads{Base: true, Models: true}
	tiles := func(models int) int { return models + 6 }
	formulas["ram"] = formula{single: ram[float32], double: ram[float64], reads: reads, tiles: tiles}
	formulas["ramplus_tl"] = formula{single: ramPlus[float32], double: ramPlus[float64], reads: reads, tiles: tiles}
}

// ram is Reinforced Agent Merging (arXiv 2601.13572): where one model alone is active, |δ| > epsilon,
// its task vector is taken whole, where several are, their mean.
func ram[T vec.Float](j *job) []Stage {
	return []Stage{produce(j, func(in input[T]) []T {
		base := in.base()
		vec.Add(base, meanActive(in, activeDeltas(in, base), nil))
		return base
	})}
}

// ramPlus is ram with the parts that a model has for itself grown by λₜ = 1 + r·min(ρₜ, alpha),
// with ρₜ the number of the tensor's elements that the model shares with others over that of those it has for
// itself, the latter at least epsilon.
func ramPlus[T vec.Float](j *job) []Stage {
	type parts struct{ shared, unique int64 }
	counts := make([]parts, j.models())
	lambda := make([]float64, j.models())
	return []Stage{
		measure(j, Reads{Base: true, Models: true}, func(in input[T]) []parts {
			deltas := activeDeltas(in, in.base())
			active, own, tile := countActive(in, deltas), in.room(), make([]parts, len(deltas))
			for k, d := range deltas {
				vec.Fill(own, 0)
				vec.AddWhereNonZero(own, active, d)
				height := in.s.mark()
				n := single(in.s, own)
				tile[k].shared = int64(vec.CountAtLeast(n, 2))
				tile[k].unique = int64(vec.CountAtLeast(n, 1)) - tile[k].shared
				in.s.release(height)
			}
			return tile
		}, func(tile []parts) {
			for k, p := range tile {
				counts[k].shared += p.shared
				counts[k].unique += p.unique
			}
		}, func() error {
			for k, n := range counts {
				if n.shared > 0 { // or 0/0 may be asked for
					rho := float64(n.shared) / max(float64(n.unique), j.shared("epsilon"))
					lambda[k] = j.shared("r") * min(rho, j.shared("alpha"))
				}
				lambda[k]++
			}
			return nil
		}),
		produce(j, func(in input[T]) []T {
			base := in.base()
			vec.Add(base, meanActive(in, activeDeltas(in, base), lambda))
			return base
		}),
	}
}

// activeDeltas are the task vectors, 0 where |δ| ≤ epsilon.
func activeDeltas[T vec.Float](in input[T], base []T) [][]T {
	epsilon := T(in.shared("epsilon"))
	deltas := make([][]T, in.models())
	for k := range deltas {
		d := in.delta(k, base)
		height := in.s.mark()
		over := in.room()
		vec.Abs(over, d)
		vec.SubDiv(over, over, epsilon, 1)
		scores := single(in.s, over)
		clampScores(scores) // what is not finite is active, and judged when it is written
		vec.Select(d, scores, 0)
		in.s.release(height)
		deltas[k] = d
	}
	return deltas
}

// countActive counts the models that are active in an element.
func countActive[T vec.Float](in input[T], deltas [][]T) []T {
	n := in.room()
	vec.Fill(n, 0)
	for _, d := range deltas {
		vec.CountNonZero(n, d)
	}
	return n
}

// meanActive is the mean over the active models, and times λ of that model where there is only one.
func meanActive[T vec.Float](in input[T], deltas [][]T, lambda []float64) []T {
	n, sum := countActive(in, deltas), in.room()
	vec.Fill(sum, 0)
	for _, d := range deltas {
		vec.Add(sum, d)
	}
	vec.DivBy(sum, sum, n)
	if !slices.ContainsFunc(lambda, func(l float64) bool { return l != 1 }) {
		return sum
	}
	grown := in.room()
	vec.Fill(grown, 0)
	for k, d := range deltas {
		vec.Axpy(grown, T(lambda[k]), d)
	}
	for i, n := range n {
		if n == 1 {
			sum[i] = grown[i]
		}
	}
	return sum
}
