package fuse

import (
	"math"

	"weld/internal/vec"
)

func init() {
	formulas["nuslerp"] = formula{
		single: nuslerp[float32],
		double: nuslerp[float64],
		reads:  Reads{Base: true, Models: true},
		tiles:  blendTiles,
		state: func(j *Job) int64 {
			if of, ok := nuslerpLines(j); ok {
				return blendBytes(j, of)
			}
			return columnBytes(j)
		},
		lone: only,
	}
}

const (
	nuslerpLeastNorm = 1e-7  // what a smaller norm counts as
	nuslerpParallel  = 1e-12 // a squared sine up to which the arc gives way to the line
	nuslerpBalanced  = 1e-6  // a sum of weights below which both models weigh the same
)

// nuslerp is slerp with a weight for each of the two models, between the models or, with
// with_base, between their task vectors (mergekit's NuSLERP). The points are whole tensors;
// without nuslerp_flatten they are the vectors along the last dimension, or along the first
// one with nuslerp_row_wise.
func nuslerp[T vec.Float](j *job) []Stage {
	if j.models() == 1 {
		return alone[T](j)
	}
	t := 0.5
	if w := j.weights(); math.Abs(w[0]+w[1]) >= nuslerpBalanced {
		t = w[1] / (w[0] + w[1])
	}
	of, ok := nuslerpLines(j.Job)
	b := blend[T]{job: j, lines: of, deltas: j.shared("with_base") != 0, mix: func(c []float64, g gram) {
		cos := clampCosine(g.dot(0, 1) / max(g.norm(0), nuslerpLeastNorm) / max(g.norm(1), nuslerpLeastNorm))
		if (1-cos)*(1+cos) <= nuslerpParallel {
			chord(c, t)
			return
		}
		arc(c, t, arcCosine(cos))
	}}
	if !ok {
		return newColumns(&b).stages()
	}
	return b.stages()
}

// nuslerpLines are the vectors, if their elements are consecutive.
func nuslerpLines(j *Job) (of lines, ok bool) {
	switch {
	case j.Params.Bool("nuslerp_flatten") || len(j.Shape) < 2:
		return wholeLine(j), true
	case j.Params.Bool("nuslerp_row_wise"):
		return lines{}, false
	}
	return linesOf(j), true
}
