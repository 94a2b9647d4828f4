package methods

import (
	"weld/format"
	"weld/internal/vec"
	"weld/stream/fuse"
	"weld/stream/fuse/sparsify"
	"weld/stream/recipe"
)

func init() {
	register(definition[arithmeticParams, weighted]{
		MethodSchema: recipe.MethodSchema{
			Name:    "task_arithmetic",
			Summary: "add the task vectors, weighted, to the base",
			Source:  "arXiv 2212.04089",
			Formula: "D = Σ wₜδₜ; if normalize, divided by Σ wₜ, unless |Σ wₜ| < 1e-8\nθ = θ₀ + λD",
			Base:    recipe.Required, MinModels: 1,
		},
		family: arithmetic, elementwise: true,
		formula: formula[arithmeticParams, weighted]{
			single: taskArithmetic[float32], double: taskArithmetic[float64], reads: fuse.Reads{Base: true, Models: true}, tiles: tiles(4),
		},
	})
}

// taskArithmetic is θ₀ + λ·Σ wₜδₜ, the sum divided by Σ wₜ if normalize (arXiv 2212.04089).
func taskArithmetic[T vec.Float](f *fused[arithmeticParams, weighted]) []fuse.Stage {
	w, divisor := weights(f.each), 1.0
	if f.all.Normalize {
		divisor = sparsify.WeightSum(w)
	}
	lambda, rounded := T(f.all.Lambda), rounded[T](w)
	return []fuse.Stage{fuse.Produce(f.Fusion, func(in fuse.Operands[T]) []T {
		acc := in.Result()
		if divisor == 1 && in.AddDeltas(acc, lambda, rounded) {
			return acc
		}
		base, buffer := in.Base(), in.Buffer()
		vec.Fill(acc, 0)
		for k, w := range rounded {
			d, data := in.Encoded(k)
			format.AxpyDelta(d, acc, w, data, base, buffer)
		}
		divide(acc, T(divisor))
		vec.Apply(acc, base, lambda, acc)
		return acc
	})}
}
