package plan

import "weld/stream/recipe"

// Quantize is a parameter of every method. Without it the output is stored as the reference is, where weld writes its scheme.
var Quantize = recipe.Param{Key: "quantize", Kind: recipe.Choice, Choices: []string{quantizeKeep, quantizeNone}, Top: true,
	Help: "how the output stores what the base (without one, the first model) has as codes and scales: as that does (keep, which need not be said), or plainly"}

const (
	quantizeKeep = "keep"
	quantizeNone = "none"
)
