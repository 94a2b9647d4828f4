package methods

import (
	"weld/stream/fuse/sparsify"
	"weld/stream/recipe"
)

func init() {
	dare := func(name, summary string, consensus bool) definition[randomParams, sparseModel] {
		return definition[randomParams, sparseModel]{
			MethodSchema: recipe.MethodSchema{
				Name: name, Summary: summary, Source: "arXiv 2311.03099",
				Formula: "τₜ is δₜ at each element with probability d, and 0 elsewhere; d is density\n" + arithmeticText(consensus),
				Base:    recipe.Required, MinModels: 1,
			},
			family:     arithmetic,
			defaults:   map[string]string{"rescale": "true"},
			deviations: []Deviation{randomMasks},
			formula:    sparseFormula[randomParams, sparseModel](sparsify.AtRandom, consensus),
		}
	}
	register(dare("dare_linear", "drop elements of task vectors at random and scale up the rest", false))
	register(dare("dare_ties", "drop elements of task vectors at random, scale up the rest, and elect signs", true))
}
