package methods

import (
	"weld/stream/fuse/sparsify"
	"weld/stream/recipe"
)

func init() {
	breadcrumbs := func(name, summary, consensus string) definition[sparseParams, outlierModel] {
		return definition[sparseParams, outlierModel]{
			MethodSchema: recipe.MethodSchema{
				Name: name, Summary: summary, Source: "arXiv 2312.06795",
				Formula: `τₜ drops the int(γn) elements of δₜ with the largest magnitude, and the smallest, down to int(d·n) of the tensor's n; γ is gamma, d density. ` +
					consensus + ` consensus:` + arithmeticText,
				Base: recipe.Required, MinModels: 1,
			},
			family:      arithmetic,
			differences: []Difference{equalScores},
			formula:     sparseFormula[sparseParams, outlierModel](sparsify.WithoutOutliers, consensus == with),
		}
	}
	register(breadcrumbs("breadcrumbs", "drop the largest and the smallest elements of task vectors", without))
	register(breadcrumbs("breadcrumbs_ties", "drop the largest and the smallest elements of task vectors, and elect signs", with))
}

type outlierModel struct {
	sparseModel
	Gamma float64 `key:"gamma" default:"0.01" min:"0" max:"1" help:"share of a task vector's largest elements to drop"`
}

func (m outlierModel) share() sparsify.Share {
	return sparsify.Share{Density: m.Density, Gamma: m.Gamma}
}
