package plan

import (
	"slices"

	"weld/format/gguf"
	"weld/format/quant"
	"weld/stream/recipe"
)

// Quantize is a parameter of every method. Without it the output is stored as the reference is, where weld writes its scheme.
var Quantize = recipe.Param{Key: "quantize", Kind: recipe.Choice, Choices: quantizeChoices(), Top: true,
	Help: "how the output stores weights: what the base (without one, the first model) has as codes and scales as that does (keep, which need not be said), all plainly, matrices of an output in GGUF in one of its types, or those of linear layers in a scheme"}

const (
	quantizeKeep = "keep"
	quantizeNone = "none"
)

func quantizeChoices() []string {
	list := []string{quantizeKeep, quantizeNone}
	for _, n := range quant.AllNamed() {
		list = append(list, n.Name)
	}
	for _, name := range gguf.Written() {
		if !slices.Contains(list, name) { // MXFP4 is a scheme of both
			list = append(list, name)
		}
	}
	return list
}
