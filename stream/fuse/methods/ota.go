package methods

import (
	"weld/scoring"
	"weld/stream/fuse"
	"weld/stream/fuse/selective"
	"weld/stream/recipe"
)

func init() {
	register(definition[otaParams, otaModel]{
		MethodSchema: recipe.MethodSchema{
			Name:    "ota",
			Own:     true,
			Summary: "mean of the task vectors, each element weighted by the root of its second moment, what matters little left out",
			Source:  "arXiv 2509.11167",
			Formula: `θ = θ₀ + Σ wₜ√vₜ·mₜ⊙δₜ / Σ wₜ√vₜ·mₜ
vₜ = aₜ² from the importance files: an optimizer's second moments
mₜ = [vₜδₜ² ≥ T]
T is the k-th largest of the model's vδ², k = ⌈density·n⌉; at density 1 it is 0
where the divisor is 0: θ₀ + Σ wₜδₜ / Σ wₜ over the models whose T is 0, else θ₀
rank_one: of matrices vᵢⱼ = Σⱼ v · Σᵢ v / Σ v`,
			Base: recipe.Required, MinModels: 1,
			Check: checkOTA,
		},
		family:          selecting,
		readsImportance: func(*otaParams) bool { return true },
		merge:           mergeOTA,
	})
}

type otaParams struct {
	RankOne bool        `key:"rank_one" flags:"fixed" help:"take of each matrix of second moments what its row and column sums say"`
	Missing missingPart `key:"missing_importance" choices:"error drop" help:"a tensor without importance: stop, or leave the model out of it"`
	common
}

type otaModel struct {
	Weight  float64 `key:"weight" default:"1" min:"0" max:"1e30" flags:"explicit" help:"what the model's importance is multiplied by"`
	Density float64 `key:"density" default:"1" example:"0.4" min:"0" max:"1" flags:"fixed" help:"share of the model's elements to keep, those with the largest vδ²"`
	informed
}

// mergeOTA is OTA merging with Fast Fisher Grafting (arXiv 2509.11167), as its authors' program computes it
// (github.com/pmahdavi/ota-merge, mergekit/merge_methods/ota.py at eee703f, with a base, power 0.5, normalise none,
// fallback_to_base, and an epsilon that goes to 0): the mask is in the divisor too. Grafting ranks by vδ²; a|δ| is its root, ranks
// alike, and does not come to nothing in float32.
func mergeOTA(s Setup, nonfinite fuse.Nonfinite, all *otaParams, each []*otaModel) fuse.Method {
	o := selective.Options{
		Score: scoring.Delta, Normalization: scoring.Raw, Scope: scoring.WholeModel, Granularity: scoring.ByElement,
		Combine: selective.ByCurvature, RankOne: all.RankOne, Lambda: 1, Nonfinite: nonfinite, TableBytes: s.TableBytes, Early: s.Early,
		WeightOf: func(c *fuse.Contribution) float64 { return c.Params.(*otaModel).Weight },
	}
	for t, m := range each {
		o.Models = append(o.Models, selective.TaskVector{Weight: m.Weight, Density: m.Density, Statistic: s.Statistics[t]})
	}
	return o.Method(s.Jobs)
}

// checkOTA demands an importance file of every model, and weights to divide by.
func checkOTA(r *recipe.Recipe, report func(recipe.Position, string)) {
	if r.Slices != nil {
		report(r.Slices[0].Where, "ota ranks over whole models, which slices and modules are not: merge first, and put layers or modules of the result together with passthrough")
		return
	}
	demandImportance(r, report, "ota weighs each element by its second moment")
	demandWeight(r, report, "there is nothing to divide by")
}
