package recipe_test

import (
	"slices"
	"strings"
	"testing"

	"weld/stream/recipe"
)

// covered shows tensors to a recipe's coverage, by the same name in both models.
func covered(t *testing.T, text string, names ...string) (problems, said []string) {
	t.Helper()
	r := parse(t, text)
	c := r.Coverage()
	for _, name := range names {
		c.See(recipe.TensorRef{Output: name, Inputs: []string{name, name}}, slices.Values([]int{0, 1}))
	}
	wrong, notes := c.Report()
	for _, p := range wrong {
		problems = append(problems, strings.TrimPrefix(p.String(), r.Origin+":"))
	}
	for _, note := range append(r.Unused, notes...) {
		said = append(said, strings.TrimPrefix(note, r.Origin+":"))
	}
	return problems, said
}

// What no filter matches has no value that somebody said. A key for which mergekit has a default takes
// it, and a note says so; for others it is an error, with the line and the first tensor.
func TestWhatNoFilterMatches(t *testing.T) {
	const models = "models: [{model: a, parameters: {weight: 1}}, {model: b, parameters: {weight: 1}}]\n"
	const bare = "models:\n- model: a\n  parameters:\n    weight:\n    - {filter: mlp, value: 0.5}\n- {model: b, parameters: {weight: 2}}\n"
	const ties = "merge_method: ties\nbase_model: base\n"
	names := []string{"embed", "0.mlp", "0.attn"}
	for text, want := range map[string]struct {
		names           []string
		problems, notes []string
	}{
		ties + bare: {names, []string{"7: weight has no value where no filter matches (first: embed): end the list with {value: …}"}, nil},
		"merge_method: fisher\nmodels:\n- model: a\n  parameters: {importance: i, weight: {filter: mlp, value: 0.5}}\n- {model: b, parameters: {importance: i}}\n": {
			names, []string{"4: weight has no value where no filter matches (first: embed): end the list with {value: …}"}, nil},
		"merge_method: slerp\nbase_model: a\nmodels: [{model: a}, {model: b}]\nparameters: {t: [{filter: attn, value: 0.5}]}\n": {
			names, []string{"4: t has no value where no filter matches (first: embed): end the list with {value: …}"}, nil},
		// what some scope says of all, or another filter, is a value
		ties + bare + "parameters: {weight: 0.1}\n":                                                {names, nil, nil},
		ties + bare + "parameters: {weight: [{filter: a, value: 1}, {filter: embed, value: 0}]}\n": {names, nil, nil},
		ties + bare + "\n": {names: []string{"0.mlp"}},
		ties + models + "parameters: {density: [{filter: mlp, value: [0.5, 0.7]}, {filter: nowhere, value: 0}]}\n": {names, nil, []string{
			"4: density is 1, its default, where no filter matches (embed and 1 more)", `4: filter "nowhere" of density matches no tensor`}},
		ties + models + "parameters: {lambda: {filter: embed, value: 0.5}}\n": {[]string{"embed", "0.mlp"}, nil, []string{
			"4: lambda is 1, its default, where no filter matches (0.mlp)"}},
		ties + models + "parameters: {lambda: [{filter: mlp, value: 0.5}, {filter: 0.mlp, value: 2}, {value: 3}, {filter: attn, value: 1}]}\n": {names, nil, []string{
			`4: lambda with filter "0.mlp" has no effect: with filter "mlp" stands before it, and the first that matches decides`,
			`4: lambda with filter "attn" has no effect: without a filter stands before it, and the first that matches decides`}},
	} {
		problems, notes := covered(t, text, want.names...)
		if !slices.Equal(problems, want.problems) || !slices.Equal(notes, want.notes) {
			t.Errorf("%s\nsays %q and %q\nwant %q and %q", text, problems, notes, want.problems, want.notes)
		}
	}
}

// Only the sources that a tensor is merged from are looked at.
func TestFiltersOfOthers(t *testing.T) {
	r := parse(t, "merge_method: ties\nbase_model: base\nmodels:\n- {model: a, parameters: {weight: {filter: mlp, value: 1}}}\n- {model: b, parameters: {weight: 1}}\n")
	c := r.Coverage()
	c.See(recipe.TensorRef{Output: "x", Inputs: []string{"x", "x"}}, slices.Values([]int{1}))
	if problems, notes := c.Report(); problems != nil || notes != nil {
		t.Errorf("%v %v", problems, notes)
	}
}
