package methods

import (
	"weld/stream/fuse/sparsify"
	"weld/stream/recipe"
)

func init() {
	dare := func(name, summary, consensus string) definition[randomParams, sparseModel] {
		return definition[randomParams, sparseModel]{
			MethodSchema: recipe.MethodSchema{
				Name: name, Summary: summary, Source: "arXiv 2311.03099",
				Formula: `τₜ keeps each element of δₜ with probability d, the density. ` + consensus + ` consensus:` + arithmeticText,
				Base:    recipe.Required, MinModels: 1,
			},
			family:      arithmetic,
			defaults:    map[string]string{"rescale": "true"},
			differences: []Difference{randomMasks},
			formula:     sparseFormula[randomParams, sparseModel](sparsify.AtRandom, consensus == with),
		}
	}
	register(dare("dare_linear", "drop elements of task vectors at random and scale up the rest", without))
	register(dare("dare_ties", "drop elements of task vectors at random, scale up the rest, and elect signs", with))
}
