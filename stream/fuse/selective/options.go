package selective

import (
	"weld/scoring"
	"weld/stream/fuse"
)

// Options are what can be asked of Selective Task Arithmetic (arXiv 2411.16139), where every element of every task
// vector δₜ is scored, a threshold over the scores masks it, and what is left is
// added to the base:
//
//	θ = θ₀ + λ · Σₜ wₜ · mₜ ⊙ δₜ
//
// A negative weight forgets a task. docs/methods.md states each option's formula.
type Options struct {
	Score         scoring.Score
	Normalization scoring.Normalization
	Scope         scoring.Scope
	Granularity   scoring.Granularity
	Combine       Combine
	Rescale       Rescale
	Consensus     bool // TIES sign election
	Contrast      bool // rank by the score over the mean of the other models'
	KeepMissing   bool // take a task vector whole where its importance is missing
	RankOne       bool // weigh and rank matrices by what the row and column sums of a² make of it; see factors
	Lambda        float64
	Nonfinite     fuse.Nonfinite
	Models        []TaskVector
	// WeightOf is a model's weight in one tensor, instead of that in Models, where it varies; else nil.
	WeightOf func(*fuse.Contribution) float64
	// Early allows to fuse in the walk that finds the thresholds; see [fuse.Early].
	Early bool
	// TableBytes is the memory that may go into counting the scores of a tensor while they
	// are summed up, which saves a walk over it; 0 to do without.
	TableBytes int64
}

// TaskVector is what a recipe says of one model.
type TaskVector struct {
	Weight    float64
	Density   float64           // share kept, in [0, 1]
	Threshold float32           // instead of Density, if Fixed
	Fixed     bool              // Threshold is given
	Statistic scoring.Statistic // of the importance file
}

// Combine says how the kept task vectors become one.
type Combine uint8

const (
	// Sum is Σ wδ.
	Sum Combine = iota
	// Mean divides by the number of models that keep the element.
	Mean
	// ByImportance is Σ (s·w)δ / Σ s over the models that keep the element.
	ByImportance
	// ByCurvature is Σ (w·a)δ / Σ w·a over the models that keep the element; without KeepMissing; see curvature.go.
	ByCurvature
)

// Choices are the names of the combinations that a recipe may ask for, in order.
func (Combine) Choices() []string { return []string{"sum", "mean", "importance"} }

// Rescale says how a masked task vector is scaled up for what it lost.
type Rescale uint8

const (
	// NoRescale leaves it.
	NoRescale Rescale = iota
	// ByDensity divides by the density.
	ByDensity
	// ByL1 restores the tensor's sum of magnitudes.
	ByL1
)

// Choices are the names of the rescalings, in order.
func (Rescale) Choices() []string { return []string{"none", "density", "l1"} }
