package recipe_test

import "testing"

// Where the base's importance counts, its entry among the models is one of them. Elsewhere it is passed over.
func TestBaseToo(t *testing.T) {
	const models = "\nbase_model: a\nmodels:\n  - {model: b, parameters: {weight: -1, importance: f}}\n  - {model: a, parameters: {weight: 0, importance: g}}\n"
	for method, want := range map[string]int{"perta": 2, "sta": 1} {
		r := parse(t, "merge_method: "+method+models)
		if len(r.Models) != want {
			t.Fatalf("%s has %d models, want %d", method, len(r.Models), want)
		}
		if want == 2 && (r.Models[1].Path != "a" || r.Models[1].Params.Text("importance") != "g" || r.Models[1].Params.Number("weight") != 0) {
			t.Errorf("%s: the base's own entry is %+v", method, r.Models[1])
		}
	}
}
