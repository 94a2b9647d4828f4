package methods

import (
	"weld/format"
	"weld/internal/vec"
	"weld/stream/fuse"
	"weld/stream/recipe"
)

func init() {
	register(definition[none, scaled]{
		MethodSchema: recipe.MethodSchema{
			Name:    "passthrough",
			Summary: "one model as it is, or scaled, or in another dtype; with slices, layers of several",
			Formula: "θ = scale · θ₁\nwith scale 1 and the same dtype the model's bytes are copied",
			Base:    recipe.Optional, BaseIs: recipe.BaseDonor, MinModels: 1, MaxModels: 1,
		},
		family: averages, exact: true, elementwise: true,
		unchanged: func(_ *none, own *scaled) bool { return own.Scale == 1 },
		formula:   formula[none, scaled]{single: passthrough[float32], double: passthrough[float64], reads: fuse.Reads{Models: true}, tiles: tiles(4)},
	})
}

type scaled struct {
	Scale float64 `key:"scale" default:"1" help:"factor of the weights"`
}

// passthrough is one model, times its scale.
func passthrough[T vec.Float](f *fused[none, scaled]) []fuse.Stage {
	scale := T(f.each[0].Scale)
	return []fuse.Stage{fuse.Produce(f.Fusion, func(in fuse.Operands[T]) []T {
		x := in.Result()
		d, data := in.Encoded(0)
		format.Scale(d, x, data, scale)
		return x
	})}
}
