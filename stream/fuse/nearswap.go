package fuse

import "weld/internal/vec"

func init() {
	formulas["nearswap"] = formula{
		single: nearswap[float32],
		double: nearswap[float64],
		reads:  Reads{Base: true, Models: true},
		tiles:  func(int) int { return 4 },
	}
}

// nearswapLeast is what a smaller difference counts as.
const nearswapLeast = 1e-6

// nearswap takes the model's elements where they are near the base's, and moves by no more
// than t towards those that are not (alchemonaut/QuartetAnemoi-70B-t0.0001):
//
//	θ = θ₀ + w·δ,  w = t/max(|δ|, 1e-6) clamped to [0, 1]
func nearswap[T vec.Float](j *job) []Stage {
	if j.models() == 0 {
		j.narrow(true)
		return []Stage{produce(j, input[T].base)}
	}
	t := T(j.shared("t"))
	return []Stage{produce(j, func(in input[T]) []T {
		base := in.base()
		if t > 0 {
			vec.Approach(base, in.theta(0), t, nearswapLeast)
		}
		return base
	})}
}
