package methods

import (
	"weld/internal/vec"
	"weld/stream/fuse"
	"weld/stream/fuse/sphere"
	"weld/stream/recipe"
)

func init() {
	register(definition[karcherParams, none]{
		MethodSchema: recipe.MethodSchema{
			Name:    "karcher",
			Summary: "the mean of the models on the sphere, found by iteration",
			Source:  "arXiv 2603.04972",
			Formula: `θ = mean norm of the models · m, the Riemannian mean of their directions uₖ:
m ← cos‖T‖·m + sin‖T‖·T/‖T‖,  T = 1/N Σ φₖ/sin φₖ · (uₖ − cos φₖ·m),  cos φₖ = ⟨m, uₖ⟩
until ‖T‖ < tol, but no more than max_iter times
a base model counts as one model more`,
			Base: recipe.Optional, BaseIs: recipe.BaseModel, MinModels: 1,
		},
		family: averages,
		formula: formula[karcherParams, none]{
			single: karcher[float32], double: karcher[float64], reads: fuse.Reads{Models: true}, tiles: sphere.Tiles,
			state: func(j *fuse.Job, _ *karcherParams) int64 { return sphere.Bytes(j, fuse.WholeLine(j)) },
		},
	})
}

type karcherParams struct {
	MaxIter int     `key:"max_iter" default:"10" min:"0" max:"1e6" help:"iterations at most"`
	Tol     float64 `key:"tol" default:"1e-5" min:"0" max:"1" help:"length of a step below which the iteration ends"`
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
func karcher[T vec.Float](f *fused[karcherParams, none]) []fuse.Stage {
	if f.Count() == 1 {
		return alone[T](f.Fusion)
	}
	steps, tol := f.all.MaxIter, f.all.Tol
	b := sphere.Blend[T]{Fusion: f.Fusion, Lines: fuse.WholeLine(f.Job), Mix: func(c []float64, g sphere.Gram) {
		karcherMean(c, g, steps, tol)
	}}
	return b.Stages()
}

// karcherMean sets the mean's coefficients.
func karcherMean(c []float64, g sphere.Gram, steps int, tol float64) {
	clear(c)
	var directed []int // models that have a direction
	var norms float64
	for k := range c {
		norms += g.Norm(k)
		if !(g.Norm(k) <= tol) {
			directed = append(directed, k)
			c[k] = 1 / g.Norm(k)
		}
	}
	if len(directed) == 0 {
		return
	}
	share := 1 / float64(len(directed))
	for _, k := range directed {
		c[k] *= share
	}
	if length := g.Length(c); length < tol {
		clear(c)
		c[directed[0]] = 1 / g.Norm(directed[0])
	} else {
		scaleAll(c, 1/length)
	}
	tangent := make([]float64, len(c))
	for range steps {
		clear(tangent)
		for _, k := range directed {
			cos := sphere.ClampCosine(g.Onto(c, k) / g.Norm(k))
			angle := sphere.ArcCosine(cos)
			if angle < tol || cos < 0 && sphere.Sine(angle) < karcherOpposite {
				continue
			}
			pull := share * angle / sphere.Sine(angle)
			tangent[k] += pull / g.Norm(k)
			for i := range tangent {
				tangent[i] -= float64(pull * cos * c[i])
			}
		}
		length := g.Length(tangent)
		if length < tol || length == 0 {
			break
		}
		for i := range c {
			c[i] = float64(sphere.Cosine(length)*c[i]) + float64(sphere.Sine(length)*tangent[i]/length)
		}
		if length := g.Length(c); length > tol {
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
