package fuse

import (
	"fmt"
	"slices"

	"weld/format"
	"weld/internal/vec"
	"weld/scoring"
)

func init() {
	formulas["fisher"] = formula{
		single: fisher[float32], double: fisher[float64], reads: Reads{Models: true, Importance: true},
		tiles: func(int) int { return 6 },
		lone: func(j *Job) (int, bool) {
			if models, _ := informed(j); len(models) == 1 {
				return models[0], true
			}
			return 0, false
		},
	}
}

// fisher is Σ wₜaₜ²θₜ / Σ wₜaₜ²: the mean weighted by the diagonal of each model's Fisher matrix
// (arXiv 2111.09832, equation 3), of which a² is an estimate. Where Σ is 0 nothing is known of an element,
// and it is the plain weighted mean Σ wₜθₜ / Σ wₜ.
//
// A model whose importance file lacks the tensor has no part in it, if missing says so (1). Where
// no file has it, all models have.
func fisher[T vec.Float](j *job) []Stage {
	taken, known := informed(j.Job)
	if j.shared("missing_importance") == 0 && (!known || len(taken) < j.models()) {
		return fails(fmt.Errorf("tensor %q: an importance file lacks it", j.Name))
	}
	var models []int // as the job counts them
	for k, m := range j.sources {
		if slices.Contains(taken, m) {
			models = append(models, k)
		}
	}
	return []Stage{produce(j, func(in input[T]) []T {
		merged, fisher := in.room(), in.room()
		vec.Fill(merged, 0)
		vec.Fill(fisher, 0)
		if known {
			for _, k := range models {
				height := in.s.mark()
				addInformed(merged, fisher, T(j.own(k, "weight")), squaredImportance(in, k), in.theta(k))
				in.s.release(height)
			}
		}
		unknown := slices.Contains(fisher, 0)
		vec.DivBy(merged, merged, fisher)
		if unknown {
			mean := plainMean(in, models)
			for i, f := range fisher {
				if f == 0 {
					merged[i] = mean[i]
				}
			}
		}
		return merged
	})}
}

// informed are the models whose importance files have the tensor, or, where none does, all that
// have the tensor themselves.
func informed(j *Job) (models []int, known bool) {
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
func squaredImportance[T vec.Float](in input[T], k int) []T {
	a := in.importance(k)
	if !scoring.Statistic(in.own(k, "statistic")).IsMagnitude() {
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
func plainMean[T vec.Float](in input[T], models []int) []T {
	mean, room := in.room(), in.room()
	vec.Fill(mean, 0)
	var total float64
	for _, k := range models {
		w := in.own(k, "weight")
		d, data := in.operand(k)
		format.Axpy(d, mean, T(w), data, room)
		total += w
	}
	divide(mean, T(total))
	return mean
}
