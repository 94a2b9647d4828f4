package methods

import (
	"weld/stream/fuse/sparsify"
	"weld/stream/recipe"
)

func init() {
	register(definition[sparseParams, sparseModel]{
		MethodSchema: recipe.MethodSchema{
			Name:    "ties",
			Summary: "trim task vectors to their largest elements, elect signs, merge what agrees",
			Source:  "arXiv 2306.01708",
			Formula: `τₜ is δₜ at its int(d·n) elements of the largest magnitude, at least one, and 0 elsewhere;
d is density, n the number of the tensor's elements
` + arithmeticText(true),
			Base: recipe.Required, MinModels: 1,
		},
		family:     arithmetic,
		defaults:   map[string]string{"normalize": "true"},
		deviations: []Deviation{equalScores},
		formula:    sparseFormula[sparseParams, sparseModel](sparsify.ByMagnitude, true),
	})
}
