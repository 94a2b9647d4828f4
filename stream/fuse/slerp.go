package fuse

import "weld/internal/vec"

func init() {
	formulas["slerp"] = formula{
		single: slerp[float32],
		double: slerp[float64],
		reads:  Reads{Models: true},
		tiles:  blendTiles,
		state:  func(j *Job) int64 { return blendBytes(j, wholeLine(j)) },
		lone:   only,
	}
}

const (
	slerpNoNorm   = 1e-8   // a norm up to which a tensor has no direction
	slerpParallel = 0.9995 // a cosine, of either sign, beyond which the arc gives way to the line
)

// slerp goes from the first model, at t = 0, to the second along the arc between them
// (Shoemake 1985). Whole tensors are the points, and keep their norms as they are:
//
//	θ = sin((1−t)φ)/sin φ · θ₁ + sin(tφ)/sin φ · θ₂,  cos φ = ⟨θ₁, θ₂⟩/(‖θ₁‖‖θ₂‖)
func slerp[T vec.Float](j *job) []Stage {
	if j.models() == 1 {
		return alone[T](j)
	}
	t := j.shared("t")
	b := blend[T]{job: j, lines: wholeLine(j.Job)}
	b.mix = func(c []float64, g gram) {
		norm := func(i int) float64 {
			if n := g.norm(i); !(n <= slerpNoNorm) {
				return n
			}
			return 1
		}
		cos := clampCosine(g.dot(0, 1) / norm(0) / norm(1))
		if cos > slerpParallel || cos < -slerpParallel {
			chord(c, t)
			return
		}
		arc(c, t, arcCosine(cos))
	}
	return b.stages()
}
