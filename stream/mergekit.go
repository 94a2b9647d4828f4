package stream

import (
	"slices"

	"weld/stream/fuse/methods"
	"weld/stream/recipe"
)

// Differences lists, one line each, where a recipe means something else to weld than to
// mergekit.
func Differences(r *recipe.Recipe) (lines []string) {
	for _, d := range differencesOf(r) {
		if d.Touches == nil || d.Touches(r) {
			lines = append(lines, d.Name+": "+d.Text)
		}
	}
	return lines
}

// differencesOf lists what a recipe's method does otherwise, and what is otherwise whatever the method.
func differencesOf(r *recipe.Recipe) (list []methods.Deviation) {
	m, _ := methods.Find(r.Method.Name)
	if !m.Own && !m.Exact {
		list = append(list, arithmetic)
	}
	return slices.Concat(list, m.Deviations, differences)
}

// arithmetic is a difference of all methods that mergekit does not compute in float32.
var arithmetic = methods.Deviation{Name: "arithmetic", Text: "computed in float32 and rounded once, where mergekit computes in the type that the models are stored in"}

// differences do not depend on the method.
var differences = []methods.Deviation{
	{Name: "reference", Text: "without base_model the first model gives configuration, tokenizer and names, where mergekit takes any",
		Touches: func(r *recipe.Recipe) bool { return r.Base == "" && len(r.Models) > 1 }},
	{Name: "post-weights", Text: "what comes behind the layers is merged from all sources of the last slice, where mergekit takes as many as the first slice has",
		Touches: func(r *recipe.Recipe) bool {
			ends := func(all []recipe.Slice) bool {
				return len(all) > 1 && len(all[0].Sources) != len(all[len(all)-1].Sources)
			}
			if r.Modules == nil {
				return ends(r.Slices)
			}
			return slices.ContainsFunc(r.Modules, func(m recipe.Module) bool { return ends(r.Slices[m.First:m.Last]) })
		}},
	{Name: "chat-templates", Text: "the template renders what the models were trained with, where mergekit's adds white space to it",
		Touches: func(r *recipe.Recipe) bool {
			return slices.Contains([]string{"alpaca", "exaone", "llama3"}, r.ChatTemplate)
		}},
}
