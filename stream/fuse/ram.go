package fuse

import "weld/internal/vec"

func init() {
	reads := Reads{Base: true, Models: true}
	tiles := func(models int) int { return models + 1 }
	formulas["ram"] = formula{single: ram[float32], double: ram[float64], reads: reads, tiles: tiles}
	formulas["ramplus_tl"] = formula{single: ramPlus[float32], double: ramPlus[float64], reads: reads, tiles: tiles}
}

// ram is Reinforced Agent Merging (arXiv 2601.13572): where one model alone is active, |δ| > epsilon,
// its task vector is taken whole, where several are, their mean. What is not finite is active, and judged
// when it is written.
func ram[T vec.Float](j *job) []Stage {
	lambda := make([]T, j.models())
	vec.Fill(lambda, 1)
	return []Stage{addActive(j, lambda)}
}

// ramPlus is ram with the parts that a model has for itself grown by λₜ = 1 + r·min(ρₜ, alpha),
// with ρₜ the number of the tensor's elements that the model shares with others over that of those it has for
// itself, the latter at least epsilon.
func ramPlus[T vec.Float](j *job) []Stage {
	type parts struct{ shared, unique []int64 }
	none := func() parts { return parts{make([]int64, j.models()), make([]int64, j.models())} }
	all, lambda := none(), make([]T, j.models())
	return []Stage{
		measure(j, Reads{Base: true, Models: true}, func(in input[T]) parts {
			tile := none()
			vec.CountActive(tile.shared, tile.unique, in.Len(), in.deltas(in.base()), activeOver[T](j))
			return tile
		}, func(tile parts) {
			for k := range lambda {
				all.shared[k] += tile.shared[k]
				all.unique[k] += tile.unique[k]
			}
		}, func() error {
			for k := range lambda {
				grown := 0.0
				if all.shared[k] > 0 { // or 0/0 may be asked for
					rho := float64(all.shared[k]) / max(float64(all.unique[k]), j.shared("epsilon"))
					grown = j.shared("r") * min(rho, j.shared("alpha"))
				}
				lambda[k] = T(1 + float64(grown))
			}
			return nil
		}),
		addActive(j, lambda),
	}
}

// activeOver is the magnitude up to which a task vector is not active.
func activeOver[T vec.Float](j *job) T { return T(j.shared("epsilon")) }

// addActive produces the base and the mean over the active models, times λ of that model where there is only
// one.
func addActive[T vec.Float](j *job, lambda []T) Stage {
	return produce(j, func(in input[T]) []T {
		base := in.base()
		vec.AddActive(base, in.deltas(base), lambda, activeOver[T](j))
		return base
	})
}
