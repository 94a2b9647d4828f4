package methods

import (
	"weld/internal/vec"
	"weld/stream/fuse"
	"weld/stream/recipe"
)

func init() {
	register(definition[nearswapParams, none]{
		MethodSchema: recipe.MethodSchema{
			Name:    "nearswap",
			Summary: "swap in the other model's element where it is near the base's",
			Source:  "https://huggingface.co/alchemonaut/QuartetAnemoi-70B-t0.0001",
			Formula: `θ = w·θ₁ + (1−w)·θ₀,  w = t / max(|θ₁−θ₀|, 1e-6), at most 1`,
			Base:    recipe.Required, MinModels: 1, MaxModels: 1,
		},
		family: twoModels, elementwise: true,
		formula: formula[nearswapParams, none]{
			single: nearswap[float32], double: nearswap[float64], reads: fuse.Reads{Base: true, Models: true}, tiles: tiles(4),
		},
	})
}

type nearswapParams struct {
	T float64 `key:"t" example:"0.0001" flags:"required" help:"distance up to which elements are swapped whole"`
}

// nearswapLeast is what a smaller difference counts as.
const nearswapLeast = 1e-6

// nearswap takes the model's elements where they are near the base's, and moves by no more
// than t towards those that are not (alchemonaut/QuartetAnemoi-70B-t0.0001):
//
//	θ = θ₀ + w·δ,  w = t/max(|δ|, 1e-6) clamped to [0, 1]
func nearswap[T vec.Float](f *fused[nearswapParams, none]) []fuse.Stage {
	if f.Count() == 0 {
		return baseStays[T](f.Fusion)
	}
	t := T(f.all.T)
	return []fuse.Stage{fuse.Produce(f.Fusion, func(in fuse.Operands[T]) []T {
		base := in.Base()
		if t > 0 {
			vec.Approach(base, in.Theta(0), t, nearswapLeast)
		}
		return base
	})}
}
