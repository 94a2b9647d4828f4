package methods

import (
	"weld/internal/vec"
	"weld/stream/fuse"
	"weld/stream/recipe"
)

func init() {
	register(definition[linearParams, weighted]{
		MethodSchema: recipe.MethodSchema{
			Name:    "linear",
			Summary: "weighted average of the models",
			Source:  "arXiv 2203.05482",
			Formula: "θ = Σ wₜθₜ; if normalize, divided by Σ wₜ\na base model counts as one model more",
			Base:    recipe.Optional, BaseIs: recipe.BaseModel, MinModels: 1,
			Check: checkLinear,
		},
		family: averages, exact: true, elementwise: true,
		formula: formula[linearParams, weighted]{single: linear[float32], double: linear[float64], reads: fuse.Reads{Models: true}, tiles: tiles(4)},
	})
}

type linearParams struct {
	Normalize bool `key:"normalize" default:"true" help:"divide by the sum of the weights"`
}

// linear is Σ wₜθₜ, divided by Σ wₜ if normalize: a weighted average ("model soups",
// arXiv 2203.05482).
func linear[T vec.Float](f *fused[linearParams, weighted]) []fuse.Stage {
	w, divisor := weights(f.each), 1.0
	if f.all.Normalize {
		divisor = sum(w)
	}
	rounded := rounded[T](w)
	return []fuse.Stage{fuse.Produce(f.Fusion, func(in fuse.Operands[T]) []T {
		acc := in.Result()
		in.Combine(acc, rounded, 0)
		divide(acc, T(divisor))
		return acc
	})}
}

// checkLinear refuses a division by 0: where no filter matches, in the first layer of each slice.
func checkLinear(r *recipe.Recipe, report func(recipe.Position, string)) {
	for slice := range max(1, len(r.Slices)) {
		where := r.Models[0].Where
		if r.Slices != nil {
			where = r.Slices[slice].Where
		}
		shared, models := r.At(recipe.TensorRef{Slice: slice})
		var sum float64
		for _, own := range models {
			sum += own.Number("weight")
		}
		if shared.Bool("normalize") && sum == 0 {
			report(where, "the weights add up to 0 and cannot be normalised; set normalize false")
		}
	}
}
