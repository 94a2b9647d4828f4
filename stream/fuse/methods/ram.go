package methods

import (
	"weld/internal/vec"
	"weld/stream/fuse"
	"weld/stream/recipe"
)

func init() {
	register(definition[ramParams, none]{
		MethodSchema: recipe.MethodSchema{
			Name:    "ram",
			Summary: "add updates that only one model makes as they are, and the mean of those that several make",
			Source:  "arXiv 2601.13572",
			Formula: `θ = θ₀ + mean of δₜ over the models that are active, |δₜ| > epsilon`,
			Base:    recipe.Required, MinModels: 1,
		},
		family:  inCommon,
		formula: formula[ramParams, none]{single: ram[float32], double: ram[float64], reads: fuse.Reads{Base: true, Models: true}, tiles: ramTiles},
	})
	register(definition[ramPlusParams, none]{
		MethodSchema: recipe.MethodSchema{
			Name:    "ramplus_tl",
			Summary: "ram, with updates that only one model makes scaled up by how much it shares",
			Source:  "arXiv 2601.13572",
			Formula: `θ = θ₀ + mean of δₜ over the models that are active, |δₜ| > epsilon
where only one is, times 1 + r·min(ρₜ, alpha); ρₜ is the number of elements that the
model shares with others over the number of those that it has for itself`,
			Base: recipe.Required, MinModels: 1,
		},
		family:     inCommon,
		deviations: []Deviation{outputType},
		formula:    formula[ramPlusParams, none]{single: ramPlus[float32], double: ramPlus[float64], reads: fuse.Reads{Base: true, Models: true}, tiles: ramTiles},
	})
}

func ramTiles(models int) int { return models + 1 }

type ramParams struct {
	Epsilon float64 `key:"epsilon" default:"1e-5" min:"0" max:"1e6" help:"size up to which an update counts as none"`
}

type ramPlusParams struct {
	ramParams
	R     float64 `key:"r" default:"0.1" min:"0" max:"1e6" help:"how much the scale grows with the share"`
	Alpha float64 `key:"alpha" default:"0.2" min:"0" max:"1e6" help:"share at which it stops growing"`
}

// ram is Reinforced Agent Merging (arXiv 2601.13572): where one model alone is active, |δ| > epsilon,
// its task vector is taken whole, where several are, their mean. What is not finite is active, and judged
// when it is written.
func ram[T vec.Float](f *fused[ramParams, none]) []fuse.Stage {
	lambda := make([]T, f.Count())
	vec.Fill(lambda, 1)
	return []fuse.Stage{addActive(f.Fusion, f.all.Epsilon, lambda)}
}

// ramPlus is ram with the parts that a model has for itself grown by λₜ = 1 + r·min(ρₜ, alpha),
// with ρₜ the number of the tensor's elements that the model shares with others over that of those it has for
// itself, the latter at least epsilon.
func ramPlus[T vec.Float](f *fused[ramPlusParams, none]) []fuse.Stage {
	type parts struct{ shared, unique []int64 }
	none := func() parts { return parts{make([]int64, f.Count()), make([]int64, f.Count())} }
	all, lambda := none(), make([]T, f.Count())
	return []fuse.Stage{
		fuse.Measure(f.Fusion, fuse.Reads{Base: true, Models: true}, func(in fuse.Operands[T]) parts {
			tile := none()
			vec.CountActive(tile.shared, tile.unique, in.Len(), in.Deltas(in.Base()), T(f.all.Epsilon))
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
					rho := float64(all.shared[k]) / max(float64(all.unique[k]), f.all.Epsilon)
					grown = f.all.R * min(rho, f.all.Alpha)
				}
				lambda[k] = T(1 + float64(grown))
			}
			return nil
		}),
		addActive(f.Fusion, f.all.Epsilon, lambda),
	}
}

// addActive produces the base and the mean over the active models, times λ of that model where there is only
// one.
func addActive[T vec.Float](f *fuse.Fusion, epsilon float64, lambda []T) fuse.Stage {
	return fuse.Produce(f, func(in fuse.Operands[T]) []T {
		base := in.Base()
		vec.AddActive(base, in.Deltas(base), lambda, T(epsilon))
		return base
	})
}
