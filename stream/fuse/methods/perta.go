package methods

import (
	"math"

	"weld/internal/vec"
	"weld/stream/fuse"
	"weld/stream/recipe"
)

func init() {
	register(definition[pertaParams, pertaModel]{
		MethodSchema: recipe.MethodSchema{
			Name:    "perta",
			Own:     true,
			Summary: "add the task vectors, each element by the share of its importance that is the task's own; a negative weight forgets it",
			Source:  "after arXiv 2601.22030",
			Formula: `θ = θ₀ + λ · Σ wₜ · ρₜ ⊙ δₜ
ρₜ = sₜ / (sₜ + retain · s̄ₜ), s̄ₜ the mean of the other models' s; 0 where both are 0
share: gradient  s = a, from the importance files
share: fisher    s = a²
a model of weight 0 adds nothing, and says what is to be retained
one task against one is the paper's; more of them, retain and 0/0 are weld's`,
			Base: recipe.Required, BaseToo: true, MinModels: 2,
			Check: checkPerTA,
		},
		family:          selecting,
		readsImportance: func(*pertaParams) bool { return true },
		formula: formula[pertaParams, pertaModel]{
			single: perTA[float32], double: perTA[float64], reads: fuse.Reads{Base: true, Models: true, Importance: true},
			tiles: func(models int) int { return models + 4 }, // each one's scores; base, sum, the others' scores, and δ
		},
	})
}

type pertaParams struct {
	Lambda  float64     `key:"lambda" default:"1" help:"scale of the merged task vector"`
	Share   uint8       `key:"share" choices:"gradient fisher" help:"whether importance counts as the gradient, or squared"`
	Retain  float64     `key:"retain" default:"1" min:"0" max:"1e30" help:"what the other models' importance is multiplied by: more protects more"`
	Missing missingPart `key:"missing_importance" choices:"error drop" help:"a tensor without importance: stop, or leave the model out of it"`
	common
}

// fisherShare is the share of squares.
const fisherShare = 1

type pertaModel struct {
	weighted
	informed
}

// perTA is per-parameter task arithmetic (after arXiv 2601.22030): ρ is what the model's importance is of its own and the other
// models' together. It is computed in float64, in which no square of a float32 is infinite or comes to nothing, and rounded with its δ.
func perTA[T vec.Float](f *fused[pertaParams, pertaModel]) []fuse.Stage {
	models, known, err := takingPart(f.Fusion, f.all.Missing)
	switch {
	case err != nil:
		return fuse.Fails(err)
	case !known:
		return baseStays[T](f.Fusion)
	}
	w, others := weights(f.each), max(1, len(models)-1)
	lambda, retain := T(f.all.Lambda), f.all.Retain/float64(others)
	return []fuse.Stage{fuse.Produce(f.Fusion, func(in fuse.Operands[T]) []T {
		base, sum := in.Base(), in.Result()
		vec.Fill(sum, 0)
		scores := make([][]float64, len(models))
		for j, k := range models {
			scores[j] = importanceScores(in, k, f.all.Share == fisherShare)
		}
		for j, k := range models {
			if w[k] == 0 {
				continue
			}
			height := in.Scratch.Mark()
			rest := fuse.Take[float64](in.Scratch, in.Len())
			vec.Fill(rest, 0)
			for u := range models {
				if u != j {
					vec.Add(rest, scores[u])
				}
			}
			addShares(sum, T(w[k]), scores[j], rest, retain, in.Delta(k, base))
			in.Scratch.Release(height)
		}
		vec.Apply(sum, base, lambda, sum)
		return sum
	})}
}

// importanceScores are a of the k-th model, or a²; NaN where a file of squares has something negative.
func importanceScores[T vec.Float](in fuse.Operands[T], k int, squared bool) []float64 {
	s := fuse.Take[float64](in.Scratch, in.Len())
	height := in.Scratch.Mark()
	a, magnitude := in.Importance(k), in.Models[in.Present[k]].Statistic.IsMagnitude()
	for i, x := range a {
		switch x := float64(x); {
		case magnitude && squared:
			s[i] = x * x
		case magnitude:
			s[i] = math.Abs(x)
		case squared && x < 0:
			s[i] = math.NaN()
		case squared:
			s[i] = x
		default:
			s[i] = math.Sqrt(x)
		}
	}
	in.Scratch.Release(height)
	return s
}

// addShares adds w·ρ·δ, where δ is not 0.
func addShares[T vec.Float](sum []T, w T, own, others []float64, retain float64, delta []T) {
	for i, d := range delta {
		if d != 0 {
			sum[i] += T(w * T(shareOf(own[i], float64(retain*others[i]))*float64(d)))
		}
	}
}

// shareOf is own / (own + others): 0 where both are 0, NaN where one is not finite.
func shareOf(own, others float64) float64 {
	switch total := own + others; {
	case total == 0:
		return 0
	case math.IsInf(total, 1):
		return math.NaN()
	default:
		return own / total
	}
}

// checkPerTA refuses slices, and demands an importance file of every model, and one to add.
func checkPerTA(r *recipe.Recipe, report func(recipe.Position, string)) {
	if r.Slices != nil { // in which the base stands among the sources to be compared with, and not for what is retained
		report(r.Slices[0].Where, "perta compares whole models, which slices and modules are not: merge first, and put layers or modules of the result together with passthrough")
		return
	}
	demandImportance(r, report, "perta divides each element by importance")
	demandWeight(r, report, "nothing would be added to the base")
}
