package methods

import (
	"fmt"
	"slices"

	"weld/format"
	"weld/internal/vec"
	"weld/stream/fuse"
	"weld/stream/recipe"
)

func init() {
	register(definition[fisherParams, fisherModel]{
		MethodSchema: recipe.MethodSchema{
			Name:    "fisher",
			Own:     true,
			Summary: "average of the models, each element weighted by its squared importance",
			Source:  "arXiv 2111.09832",
			Formula: "θ = Σ wₜaₜ²θₜ / Σ wₜaₜ², aₜ from the importance files\nwhere the divisor is 0: Σ wₜθₜ / Σ wₜ",
			Base:    recipe.Optional, BaseIs: recipe.BaseDonor, MinModels: 1,
			Check:    checkFisher,
			Unasking: true,
		},
		family:          averages,
		readsImportance: func(*fisherParams) bool { return true },
		formula: formula[fisherParams, fisherModel]{
			single: fisher[float32], double: fisher[float64], reads: fuse.Reads{Models: true, Importance: true}, tiles: tiles(6),
		},
	})
}

type fisherParams struct {
	Missing missingPart `key:"missing_importance" choices:"error drop" help:"a tensor without importance: stop, or leave the model out of it"`
}

type fisherModel struct {
	weighted
	informed
}

// missingPart is what becomes of a model without importance in a tensor.
type missingPart uint8

const dropMissing missingPart = 1

// fisher is Σ wₜaₜ²θₜ / Σ wₜaₜ²: the mean weighted by the diagonal of each model's Fisher matrix
// (arXiv 2111.09832, equation 3), of which a² is an estimate. Where Σ is 0 nothing is known of an element,
// and it is the plain weighted mean Σ wₜθₜ / Σ wₜ.
//
// A model whose importance file lacks the tensor has no part in it, if missing_importance says so. Where
// no file has it, all models have.
func fisher[T vec.Float](f *fused[fisherParams, fisherModel]) []fuse.Stage {
	models, known, err := takingPart(f.Fusion, f.all.Missing)
	if err != nil {
		return fuse.Fails(err)
	}
	w := weights(f.each)
	return []fuse.Stage{fuse.Produce(f.Fusion, func(in fuse.Operands[T]) []T {
		merged, fisher := in.Buffer(), in.Buffer()
		vec.Fill(merged, 0)
		vec.Fill(fisher, 0)
		if known {
			for _, k := range models {
				height := in.Scratch.Mark()
				addInformed(merged, fisher, T(w[k]), squaredImportance(in, k), in.Theta(k))
				in.Scratch.Release(height)
			}
		}
		unknown := slices.Contains(fisher, 0)
		vec.DivBy(merged, merged, fisher)
		if unknown {
			mean := plainMean(in, w, models)
			for i, f := range fisher {
				if f == 0 {
					merged[i] = mean[i]
				}
			}
		}
		return merged
	})}
}

// takingPart are those of the models that have the tensor which [withImportance] names, as the tensor's operands are counted.
func takingPart(f *fuse.Fusion, missing missingPart) (models []int, known bool, err error) {
	taken, known := withImportance(f.Job)
	if missing != dropMissing && !f.Unasked && (!known || len(taken) < f.Count()) {
		return nil, false, fmt.Errorf("tensor %q: an importance file lacks it", f.Name)
	}
	for k, m := range f.Present {
		if slices.Contains(taken, m) {
			models = append(models, k)
		}
	}
	return models, known, nil
}

// withImportance are the models whose importance files have the tensor, or, where none does, all that
// have the tensor themselves.
func withImportance(j *fuse.Job) (models []int, known bool) {
	var all []int
	for m, c := range j.Models {
		if c.Absent {
			continue
		}
		all = append(all, m)
		if c.Importance {
			models = append(models, m)
		}
	}
	if len(models) == 0 {
		return all, false
	}
	return models, true
}

// squaredImportance is a², NaN where a file of squares has something negative.
func squaredImportance[T vec.Float](in fuse.Operands[T], k int) []T {
	a := in.Importance(k)
	if !in.Models[in.Present[k]].Statistic.IsMagnitude() {
		vec.Sqrt(a, a)
	}
	vec.Square(a, a)
	return a
}

// addInformed adds w·a²·θ and w·a², and where a is 0 nothing, though θ be infinite.
func addInformed[T vec.Float](num, den []T, w T, squares, theta []T) {
	for i, a := range squares {
		if a != 0 {
			a = T(w * a)
			num[i] += T(a * theta[i])
			den[i] += a
		}
	}
}

// plainMean is Σ wₜθₜ / Σ wₜ over some models.
func plainMean[T vec.Float](in fuse.Operands[T], w []float64, models []int) []T {
	mean, buffer := in.Buffer(), in.Buffer()
	vec.Fill(mean, 0)
	var total float64
	for _, k := range models {
		d, data := in.Encoded(k)
		format.Axpy(d, mean, T(w[k]), data, buffer)
		total += w[k]
	}
	divide(mean, T(total))
	return mean
}

// checkFisher demands an importance file of every model, and weights to divide by.
func checkFisher(r *recipe.Recipe, report func(recipe.Position, string)) {
	var weights float64
	for _, m := range r.Models {
		weights += m.Params.Number("weight")
	}
	if weights == 0 {
		report(r.Models[0].Where, "the weights add up to 0, and where no model has importance there is nothing to divide by")
	}
	demandImportance(r, report, "fisher weighs each element by its importance")
}
