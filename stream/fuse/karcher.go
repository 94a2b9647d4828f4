package fuse

import (
	"weld/internal/vec"
)

func init() {
	formulas["karcher"] = formula{
		single: karcher[float32],
		double: karcher[float64],
		reads:  Reads{Models: true},
		tiles:  blendTiles,
		state:  func(j *Job) int64 { return blendBytes(j, wholeLine(j)) },
		lone:   only,
	}
}

// karcherOpposite is the sine below which a direction opposite to the mean is one, up to
// rounding: it lies on every great circle through the mean, and pulls nowhere.
const karcherOpposite = 1e-7

// karcher is the Riemannian mean of the models' directions on the sphere, all weighing the
// same, with the mean of their norms (Karcher 1977; merging: arXiv 2603.04972). From the
// direction of their sum, m moves along the mean of the arcs to the uₖ,
//
//	T = 1/N Σ φₖ/sin φₖ · (uₖ − cos φₖ·m),  cos φₖ = ⟨m, uₖ⟩,   m ← cos‖T‖·m + sin‖T‖·T/‖T‖
//
// until ‖T‖ < tol, but no more than max_iter times. A norm of at most tol has no direction, but
// counts in the mean of the norms. The iterate is kept as its coefficients.
func karcher[T vec.Float](j *job) []Stage {
	if j.models() == 1 {
		return alone[T](j)
	}
	steps, tol := int(j.shared("max_iter")), j.shared("tol")
	b := blend[T]{job: j, lines: wholeLine(j.Job), mix: func(c []float64, g gram) {
		karcherMean(c, g, steps, tol)
	}}
	return b.stages()
}

// karcherMean sets the mean's coefficients.
func karcherMean(c []float64, g gram, steps int, tol float64) {
	clear(c)
	var directed []int // models that have a direction
	var norms float64
	for k := range c {
		norms += g.norm(k)
		if !(g.norm(k) <= tol) {
			directed = append(directed, k)
			c[k] = 1 / g.norm(k)
		}
	}
	if len(directed) == 0 {
		return
	}
	share := 1 / float64(len(directed))
	for _, k := range directed {
		c[k] *= share
	}
	if length := g.length(c); length < tol {
		clear(c)
		c[directed[0]] = 1 / g.norm(directed[0])
	} else {
		scaleAll(c, 1/length)
	}
	tangent := make([]float64, len(c))
	for range steps {
		clear(tangent)
		for _, k := range directed {
			cos := clampCosine(g.onto(c, k) / g.norm(k))
			angle := arcCosine(cos)
			if angle < tol || cos < 0 && sine(angle) < karcherOpposite {
				continue
			}
			pull := share * angle / sine(angle)
			tangent[k] += pull / g.norm(k)
			for i := range tangent {
				tangent[i] -= float64(pull * cos * c[i])
			}
		}
		length := g.length(tangent)
		if length < tol || length == 0 {
			break
		}
		for i := range c {
			c[i] = float64(cosine(length)*c[i]) + float64(sine(length)*tangent[i]/length)
		}
		if length := g.length(c); length > tol {
			scaleAll(c, 1/length)
		}
	}
	scaleAll(c, norms/float64(len(c)))
}

func scaleAll(c []float64, by float64) {
	for i := range c {
		c[i] *= by
	}
}
