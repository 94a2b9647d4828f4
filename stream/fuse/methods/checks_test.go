package methods

import (
	"errors"
	"slices"
	"testing"

	"weld/stream/recipe"
)

// What methods that weigh by importance demand of a recipe: exactly these problems, each at the line of its model.
func TestDemandsOfImportance(t *testing.T) {
	const (
		informed = `{model: a, parameters: {importance: ga}}`
		silent   = `{model: b}`
		stacked  = `{sources: [{model: base, layer_range: [0, 1]}, {model: a, layer_range: [0, 1], parameters: {importance: ga}}, {model: b, layer_range: [0, 1], parameters: {importance: gb}}]}`
	)
	does := map[string]string{
		"fisher": "fisher weighs each element by its importance", "ota": "ota weighs each element by its second moment",
		"perta": "perta divides each element by importance", "fisher_arithmetic": "fisher_arithmetic shares each layer by importance",
	}
	for method, demand := range does {
		holdProblems(t, method, "models:\n  - "+informed+"\n  - "+silent, "", "r.yml:5: "+demand+": give an importance file for b")
		holdProblems(t, method, "models:\n  - "+silent+"\n  - "+informed, "", "r.yml:4: "+demand+": give an importance file for b")
		holdProblems(t, method, "models:\n  - "+informed+"\n  - "+silent, "importance: g")
	}
	for method, result := range map[string]string{"ota": "there is nothing to divide by", "perta": "nothing would be added to the base"} {
		nothing := "r.yml:4: all weights are 0, and " + result
		models := "models:\n  - " + informed + "\n  - {model: b, parameters: {importance: gb, weight: "
		holdProblems(t, method, models+"0}}", "weight: 0", nothing)
		holdProblems(t, method, models+"1}}", "weight: 0")
		holdProblems(t, method, models+"0}}", "weight: 1") // of the first alone
		holdProblems(t, method, models+"[0, 1]}}", "weight: 0")
	}
	holdProblems(t, "perta", "models:\n  - "+informed+"\n  - {model: b, parameters: {importance: gb, weight: -1}}", "weight: 0")
	for method, does := range map[string]string{"ota": "ranks over", "perta": "compares", "sta": "ranks over"} { // and nothing of what the base lacks
		holdProblems(t, method, "slices:\n  - "+stacked, "", "r.yml:4: "+method+" "+does+" whole models, which slices and modules are not: merge first, and put layers or modules of the result together with passthrough")
	}
	for _, method := range []string{"perta", "fisher_arithmetic"} { // a single one has no others to be compared with
		if m, _ := Find(method); m.MinModels != 2 {
			t.Errorf("%s takes %d models", method, m.MinModels)
		}
	}
}

// holdProblems holds a recipe with a base to all that is said of it.
func holdProblems(t *testing.T, method, models, params string, want ...string) {
	t.Helper()
	text := "merge_method: " + method + "\nbase_model: base\n" + models + "\nparameters: {" + params + "}\n"
	if method == "fisher" {
		text = "merge_method: fisher\n\n" + models + "\nparameters: {" + params + "}\n"
	}
	_, err := Schema().Parse("r.yml", []byte(text))
	var problems recipe.Problems
	errors.As(err, &problems)
	var got []string
	for _, p := range problems {
		got = append(got, p.String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s\nis told %q, want %q (%v)", text, got, want, err)
	}
}
