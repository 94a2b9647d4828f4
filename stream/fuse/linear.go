package fuse

import (
	"weld/format"
	"weld/internal/vec"
)

func init() {
	sums := func(int) int { return 4 }
	formulas["linear"] = formula{single: linear[float32], double: linear[float64], reads: Reads{Models: true}, tiles: sums}
	formulas["task_arithmetic"] = formula{single: taskArithmetic[float32], double: taskArithmetic[float64], reads: Reads{Base: true, Models: true}, tiles: sums}
	formulas["passthrough"] = formula{single: passthrough[float32], double: passthrough[float64], reads: Reads{Models: true}, tiles: sums}
}

// linear is Σ wₜθₜ, divided by Σ wₜ if normalize: a weighted average ("model soups",
// arXiv 2203.05482).
func linear[T vec.Float](j *job) []Stage {
	w, divisor := j.weights(), 1.0
	if j.Params.Bool("normalize") {
		divisor = sum(w)
	}
	weights := appendWeights[T](nil, w)
	return []Stage{produce(j, func(in input[T]) []T {
		acc := in.room()
		in.combine(acc, weights, 0)
		divide(acc, T(divisor))
		return acc
	})}
}

// taskArithmetic is θ₀ + λ·Σ wₜδₜ, the sum divided by Σ wₜ if normalize (arXiv 2212.04089).
func taskArithmetic[T vec.Float](j *job) []Stage {
	w, divisor := j.weights(), 1.0
	if j.Params.Bool("normalize") {
		divisor = weightSum(w)
	}
	lambda := T(j.shared("lambda"))
	return []Stage{produce(j, func(in input[T]) []T {
		base, acc, room := in.base(), in.room(), in.room()
		vec.Fill(acc, 0)
		for k := range w {
			d, data := in.operand(k)
			format.AxpyDelta(d, acc, T(w[k]), data, base, room)
		}
		divide(acc, T(divisor))
		vec.Apply(acc, base, lambda, acc)
		return acc
	})}
}

// passthrough is one model, times its scale.
func passthrough[T vec.Float](j *job) []Stage {
	scale := T(j.own(0, "scale"))
	return []Stage{produce(j, func(in input[T]) []T {
		x := in.room()
		d, data := in.operand(0)
		format.Scale(d, x, data, scale)
		return x
	})}
}

// negligible is the sum of weights below which task vectors are not divided by it.
const negligible = 1e-8

// weightSum is Σ w, or 1 where that is next to nothing.
func weightSum(w []float64) float64 {
	if s := sum(w); s >= negligible || s <= -negligible {
		return s
	}
	return 1
}

func sum(w []float64) (s float64) {
	for _, x := range w {
		s += x
	}
	return s
}

func divide[T vec.Float](x []T, by T) {
	if by != 1 {
		vec.Div(x, x, by)
	}
}
