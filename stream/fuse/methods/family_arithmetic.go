package methods

import (
	"weld/stream/fuse"
	"weld/stream/fuse/sparsify"
)

// This file has what the methods of generalised task arithmetic share: task_arithmetic.go, ties.go, dare.go, breadcrumbs.go
// and della.go.

// arithmeticParams hold for all models.
type arithmeticParams struct {
	Lambda    float64 `key:"lambda" default:"1" help:"scale of the merged task vector"`
	Normalize bool    `key:"normalize" help:"divide by the sum of the weights"`
	Int8Mask  bool    `key:"int8_mask" help:"has no effect; mergekit's choice of a type for masks"`
	common
}

// sparseParams are those of methods that drop elements of task vectors.
type sparseParams struct {
	arithmeticParams
	Rescale bool `key:"rescale" help:"scale a masked task vector up to the sum of magnitudes that it had"`
}

func (p sparseParams) values() (of sparseParams, seed uint64) { return p, 0 }

// randomParams are those of methods that drop them at random.
type randomParams struct {
	sparseParams
	Seed uint64 `key:"seed" default:"0" min:"0" max:"9007199254740992" flags:"fixed" help:"of the random masks"`
}

func (p randomParams) values() (of sparseParams, seed uint64) { return p.sparseParams, p.Seed }

// sparseModel is how much is kept of a model.
type sparseModel struct {
	weighted
	Density float64 `key:"density" default:"1" example:"0.5" min:"0" max:"1" help:"share of a task vector's elements to keep"`
}

func (m sparseModel) share() sparsify.Share { return sparsify.Share{Density: m.Density} }

// sparseFormula merges by generalised task arithmetic with a sparsifier.
func sparseFormula[All interface {
	values() (sparseParams, uint64)
}, Each interface {
	weight() float64
	share() sparsify.Share
}](rule sparsify.Rule, consensus bool) formula[All, Each] {
	options := func(f *fused[All, Each]) sparsify.Arithmetic {
		p, seed := (*f.all).values()
		a := sparsify.Arithmetic{
			Rule: rule, Consensus: consensus, Normalize: p.Normalize, Rescale: p.Rescale, Lambda: p.Lambda, Seed: seed, Weights: weights(f.each),
		}
		for _, m := range f.each {
			a.Shares = append(a.Shares, (*m).share())
		}
		return a
	}
	return formula[All, Each]{
		single: func(f *fused[All, Each]) []fuse.Stage { return sparsify.Stages[float32](f.Fusion, options(f)) },
		double: func(f *fused[All, Each]) []fuse.Stage { return sparsify.Stages[float64](f.Fusion, options(f)) },
		reads:  fuse.Reads{Base: true, Models: true},
		tiles:  func(models int) int { return sparsify.ArithmeticTiles(rule, models) },
		state:  func(j *fuse.Job, _ *All) int64 { return rule.Bytes(j) },
		rows:   rule.RowBytes,
	}
}

// Differences from mergekit that several of the family have.
var (
	randomMasks = Deviation{Name: "masks", Text: "random masks come from a generator of weld's own: the same for a seed everywhere, not those of mergekit"}
	equalScores = Deviation{Name: "ties-at-a-cut", Text: "of elements of equal magnitude those with the lower index are kept, where mergekit leaves it to a sort"}
)

// arithmeticText is the formula of what follows the sparsifier, for people.
func arithmeticText(consensus bool) string {
	sum := "D = Σ wₜτₜ; if normalize, divided by Σ wₜ, unless |Σ wₜ| < 1e-8\n"
	if consensus {
		sum = `D = Σ mₜwₜτₜ; if normalize, divided by Σ mₜwₜ, unless that is 0
mₜ = [sign(wₜτₜ) = s],  s = +1 if Σ wₜτₜ ≥ 0, else −1
`
	}
	return sum + `θ = θ₀ + λD
if rescale, τₜ is first multiplied by Σ|δₜ| / Σ|τₜ| over the tensor, unless either
sum is under 1e-7`
}
