package stream

import (
	"slices"

	"weld/stream/recipe"
)

// difference is something that weld does otherwise than mergekit, on purpose. docs/mergekit.md
// has each with its reason, under the same name.
type difference struct {
	name    string
	text    string
	touches func(*recipe.Recipe) bool
}

// Differences lists, one line each, where a recipe means something else to weld than to
// mergekit.
func Differences(r *recipe.Recipe) (lines []string) {
	for _, d := range differences {
		if d.touches(r) {
			lines = append(lines, d.name+": "+d.text)
		}
	}
	return lines
}

var differences = []difference{
	{"arithmetic", "computed in float32 and rounded once, where mergekit computes in the type that the models are stored in",
		not(methods("linear", "slerp", "passthrough", "sta", "fisher"))},
	{"masks", "random masks come from a generator of weld's own: the same for a seed everywhere, not those of mergekit",
		methods("dare_linear", "dare_ties", "della", "della_linear")},
	{"ties-at-a-cut", "of elements of equal magnitude those with the lower index are kept, where mergekit leaves it to a sort",
		methods("ties", "breadcrumbs", "breadcrumbs_ties", "della", "della_linear", "sce")},
	{"rank-rows", "elements are ranked in rows, in float32, where mergekit ranks in bfloat16, and along dimension 1 of tensors with three",
		methods("della", "della_linear")},
	{"sce-energy", "models are weighed by their energy however small it is, where mergekit weighs all alike below 1e-6",
		methods("sce")},
	{"sce-divisor", "the sum of the weights that agree divides however small it is, where mergekit takes at least 1e-6",
		methods("sce")},
	{"exact-quantiles", "quantiles are exact, where mergekit takes those of a random sample from 1,000,000 elements on",
		methods("arcee_fusion")},
	{"output-dtype", "the output has the base's type, where mergekit writes float32",
		func(r *recipe.Recipe) bool { return methods("arcee_fusion", "ramplus_tl")(r) && r.OutDType == 0 }},
	{"reference", "without base_model the first model gives configuration, tokenizer and names, where mergekit takes any",
		func(r *recipe.Recipe) bool { return r.Base == "" && len(r.Models) > 1 }},
	{"post-weights", "what comes behind the layers is merged from all sources of the last slice, where mergekit takes as many as the first slice has",
		func(r *recipe.Recipe) bool {
			ends := func(all []recipe.Slice) bool {
				return len(all) > 1 && len(all[0].Sources) != len(all[len(all)-1].Sources)
			}
			if r.Modules == nil {
				return ends(r.Slices)
			}
			return slices.ContainsFunc(r.Modules, func(m recipe.Module) bool { return ends(r.Slices[m.First:m.Last]) })
		}},
	{"chat-templates", "the template renders what the models were trained with, where mergekit's adds white space to it",
		func(r *recipe.Recipe) bool {
			return slices.Contains([]string{"alpaca", "exaone", "llama3"}, r.ChatTemplate)
		}},
}

func methods(names ...string) func(*recipe.Recipe) bool {
	return func(r *recipe.Recipe) bool { return slices.Contains(names, r.Method.Name) }
}

func not(f func(*recipe.Recipe) bool) func(*recipe.Recipe) bool {
	return func(r *recipe.Recipe) bool { return !f(r) }
}
