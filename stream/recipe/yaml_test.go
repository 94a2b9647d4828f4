package recipe_test

import (
	"strings"
	"testing"
)

// Mappings can be taken in; what is written goes before it, and an earlier one before a
// later one.
func TestMergeKeys(t *testing.T) {
	r := understood(t, `
merge_method: ties
base_model: b
models:
  - model: a
    parameters: &a {weight: 2, density: 0.5, gamma: 0.25}
  - model: c
    parameters: &c
      <<: *a
      weight: 3
  - model: d
    parameters: {epsilon: 0.125, <<: [{gamma: 0.75}, *c, *a]}
`)
	want := [][4]float64{{2, 0.5, 0.25, 0.15}, {3, 0.5, 0.25, 0.15}, {3, 0.5, 0.75, 0.125}}
	for i, m := range r.Models {
		p := m.Params
		if got := [4]float64{p.Number("weight"), p.Number("density"), p.Number("gamma"), p.Number("epsilon")}; got != want[i] {
			t.Errorf("%s: %v, want %v", m.Path, got, want[i])
		}
	}
}

// What aliases stand for is bounded, wherever they stand.
func TestExpansionIsBounded(t *testing.T) {
	nines := func(name, first string, level int) string {
		text := "&" + name + "0 " + first
		for i := range level {
			last := "*" + name + string(rune('0'+i))
			text += "\nk" + string(rune('0'+i)) + ": &" + name + string(rune('1'+i)) + " {<<: [" + strings.TrimSuffix(strings.Repeat(last+", ", 9), ", ") + "]}"
		}
		return text
	}
	for name, text := range map[string]string{
		"merge keys": "merge_method: linear\nparameters: " + nines("a", "{weight: 1}", 8) + "\nmodels: [{model: a, parameters: *a8}]\n",
		"gradients": "merge_method: linear\nparameters: {weight: &g [" + strings.Repeat("1, ", 50_000) + "2]}\nmodels:\n" +
			strings.Repeat("  - {model: a, parameters: {weight: *g}}\n", 10_000),
		"filters": "merge_method: linear\nparameters: {weight: &g [" + strings.Repeat("{value: 1}, ", 50_000) + "]}\nmodels:\n" +
			strings.Repeat("  - {model: a, parameters: {weight: *g}}\n", 10_000),
	} {
		r, err := mergekit.Parse("bomb.yml", []byte(text))
		if problems(t, r, err); !strings.Contains(err.Error(), "the aliases of the recipe stand for more than 1048576 entries") {
			t.Errorf("%s: %.300v", name, err)
		}
	}
}

// What is often written wrong is answered with what is right.
func TestNearMisses(t *testing.T) {
	const head = "merge_method: linear\nmodels:\n"
	refused(t, head+"\t- model: a\n", "3: not YAML: a tab, and only spaces are allowed for indentation")
	refused(t, head+"  - model: a\n\tparameters: {weight: 1}\n", "4: not YAML: a tab, and only spaces are allowed for indentation")
	refused(t, head+"  - model: @a\n", "3: not YAML: found character that cannot start any token")
	refused(t, head+"  - math\n  - model: b\n", "3: a model is a mapping: - model: math")
	refused(t, head+"  - model: a\n    paramters: {}\n", `4: unknown key "paramters" of a model (did you mean parameters?): choose from model, parameters; everything else belongs under parameters`)
	refused(t, head+"  - model: a\n    wieght: 1\n", `4: unknown key "wieght" of a model (did you mean weight?): `)
	refused(t, head+"  - model: a\n    weight: 1\n", `4: unknown key "weight" of a model: choose from`)
}
