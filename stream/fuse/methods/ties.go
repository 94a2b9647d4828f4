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
			Formula: `τₜ keeps the int(d·n) elements of δₜ with the largest magnitude, at least one, of the tensor's n; d is density. With consensus:` + arithmeticText,
			Base:    recipe.Required, MinModels: 1,
		},
		family:      arithmetic,
		defaults:    map[string]string{"normalize": "true"},
		differences: []Difference{equalScores},
		formula:     sparseFormula[sparseParams, sparseModel](sparsify.ByMagnitude, true),
	})
}
