package methods

import (
	"fmt"

	"weld/stream/fuse/sparsify"
	"weld/stream/recipe"
)

func init() {
	della := func(name, summary, normalize string, consensus bool) definition[randomParams, rankedModel] {
		return definition[randomParams, rankedModel]{
			MethodSchema: recipe.MethodSchema{
				Name: name, Summary: summary, Source: "arXiv 2406.11617",
				Formula: `τₜ is δₜ at each element with probability (d−ε) + 2ε·r, and 0 elsewhere; r is the rank
of its magnitude in its row, from 0 to 1, d density, ε epsilon
` + arithmeticText(consensus),
				Base: recipe.Required, MinModels: 1,
				Check: checkProbabilities,
			},
			family:   arithmetic,
			defaults: map[string]string{"normalize": normalize, "rescale": "true"},
			deviations: []Deviation{randomMasks, equalScores,
				{Name: "rank-rows", Text: "elements are ranked in rows, in float32, where mergekit ranks in bfloat16, and along dimension 1 of tensors with three"}},
			formula: sparseFormula[randomParams, rankedModel](sparsify.ByRank, consensus),
		}
	}
	register(della("della", "drop small elements of task vectors more often than large ones, and elect signs", "true", true))
	register(della("della_linear", "drop small elements of task vectors more often than large ones", "false", false))
}

type rankedModel struct {
	sparseModel
	Epsilon float64 `key:"epsilon" default:"0.15" min:"0" max:"1" help:"how far the probability of keeping an element lies from density, at most"`
}

func (m rankedModel) share() sparsify.Share {
	return sparsify.Share{Density: m.Density, Epsilon: m.Epsilon}
}

// checkProbabilities refuses probabilities outside of 0 to 1.
func checkProbabilities(r *recipe.Recipe, report func(recipe.Position, string)) {
	for _, m := range r.Models {
		e, d := m.Params["epsilon"], m.Params["density"]
		if e.Where == (recipe.Position{}) && d.Where == (recipe.Position{}) || !m.Params.Has("epsilon") || d.Varies || e.Varies || d.Number <= 0 || d.Number >= 1 {
			continue
		}
		if d.Number+e.Number >= 1 || d.Number-e.Number <= 0 {
			where := e.Where
			if where == (recipe.Position{}) {
				where = d.Where
			}
			report(where, fmt.Sprintf("density %g and epsilon %g: elements are kept with probabilities from density - epsilon to density + epsilon, which have to lie between 0 and 1", d.Number, e.Number))
		}
	}
}
