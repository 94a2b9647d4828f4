package methods

import (
	"weld/stream/fuse/sparsify"
	"weld/stream/recipe"
)

func init() {
	breadcrumbs := func(name, summary string, consensus bool) definition[sparseParams, outlierModel] {
		return definition[sparseParams, outlierModel]{
			MethodSchema: recipe.MethodSchema{
				Name: name, Summary: summary, Source: "arXiv 2312.06795",
				Formula: `τₜ is δₜ, and 0 at its int(γn) elements of the largest magnitude and at the smallest, so
that int(d·n) are left; γ is gamma, d density, n the number of the tensor's elements
` + arithmeticText(consensus),
				Base: recipe.Required, MinModels: 1,
			},
			family:     arithmetic,
			deviations: []Deviation{equalScores},
			formula:    sparseFormula[sparseParams, outlierModel](sparsify.WithoutOutliers, consensus),
		}
	}
	register(breadcrumbs("breadcrumbs", "drop the largest and the smallest elements of task vectors", false))
	register(breadcrumbs("breadcrumbs_ties", "drop the largest and the smallest elements of task vectors, and elect signs", true))
}

type outlierModel struct {
	sparseModel
	Gamma float64 `key:"gamma" default:"0.01" min:"0" max:"1" help:"share of a task vector's largest elements to drop"`
}

func (m outlierModel) share() sparsify.Share {
	return sparsify.Share{Density: m.Density, Gamma: m.Gamma}
}
