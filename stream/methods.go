package stream

import (
	"os"
	"slices"

	"weld/stream/fuse/methods"
	"weld/stream/plan"
	"weld/stream/recipe"
)

// Schema lists the merge methods and their parameters: what recipes and flags may
// say. docs/methods.md has the formulas.
func Schema() recipe.Schema {
	all := methods.Schema()
	for i := range all {
		all[i].Params = append(slices.Clip(all[i].Params), plan.Missing, plan.Quantize)
	}
	return all
}

// Recipes reads recipes by the [Schema], beside the paths that are there.
func Recipes() recipe.Parser {
	return recipe.Parser{Schema: Schema(), Exists: func(path string) bool {
		_, err := os.Lstat(path)
		return err == nil
	}}
}
