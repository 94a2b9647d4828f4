package recipe_test

import (
	"slices"
	"strings"
	"testing"
)

// What mergekit never reads is passed over, with a note that has its line.
func TestPassedOver(t *testing.T) {
	const rest = "merge_method: ties\nbase_model: b\nmodels:\n  - model: a\n"
	for _, test := range []struct{ text, note string }{
		{rest + "name: first\n", "5: name has no effect here: it names one of several recipes"},
		{rest + "density: 0.5\n", "5: density has no effect here: it belongs under parameters"},
		{rest + "parameters:\n  max_iter: 3\n", "6: max_iter has no effect: ties has no such parameter"},
		{rest + "parameters:\n  random_seed: 3\n", "6: random_seed has no effect here: it is an option"},
		{rest + "parameters: {dtype: float16}\n", "5: dtype has no effect here: it belongs to the recipe"},
		{rest + "    parameters: {lambda: 2}\n", "5: lambda has no effect here: it is shared by all models"},
		{rest + "    layer_range: [0, 2]\n", "5: layer_range has no effect here: all layers are merged"},
		{"merge_method: linear\nmodels:\n  - model:\n      model: a\n      override_architecture: X\n", "5: override_architecture has no effect here"},
		{"merge_method: linear\nslices:\n  - sources: [{model: a, layer_range: [0, 1]}]\n    residual_weight: 1\n", "4: residual_weight has no effect here"},
		{"merge_method: linear\nslices:\n  - sources:\n      - model: a\n        layer_range: [0, 1]\n        revision: v1\n", "6: revision has no effect here"},
	} {
		r := understood(t, test.text)
		if len(r.Unused) != 1 || !strings.HasPrefix(r.Unused[0], "recipe.yml:"+test.note) {
			t.Errorf("%s%q, want %q", test.text, r.Unused, test.note)
		}
		if p := r.Params["lambda"]; p.Number > 1 {
			t.Errorf("%slambda is %v", test.text, p.Number)
		}
		readsBack(t, r)
	}
	// Slips are no such keys, nor is a weight that mergekit would miss, nor what weld alone has.
	refused(t, rest+"dype: float32\n", `5: unknown key "dype" (did you mean dtype?)`)
	refused(t, rest+"weight: 1\n", `5: unknown key "weight"`)
	refused(t, rest+"    weight: 1\n", `5: unknown key "weight" of a model`)
	refused(t, rest+"    parameters: {nonfinite: base}\n", `5: "nonfinite" holds for the whole merge`)
	refused(t, rest+"parameters: {densty: 1}\n", `5: unknown parameter "densty" of ties (did you mean density?)`)
}

// Truth values may be written as numbers, by which other numbers become none.
func TestTruthValues(t *testing.T) {
	for text, want := range map[string]bool{
		"1": true, "1.0": true, "'1'": true, "true": true, "Yes": true, "on": true, "y": true, "T": true,
		"0": false, "0.0": false, "false": false, "no": false, "OFF": false, "n": false, "f": false,
	} {
		r := understood(t, "merge_method: linear\nmodels: [{model: a}]\nparameters: {normalize: "+text+"}\n")
		if r.Params.Bool("normalize") != want {
			t.Errorf("%s is %v", text, !want)
		}
		readsBack(t, r)
	}
	for _, text := range []string{"2", "0.5", "-1", ".nan", "si"} {
		refused(t, "merge_method: linear\nmodels: [{model: a}]\nparameters: {normalize: "+text+"}\n", `3: normalize: "`+text+`" is not true or false`)
	}
}

// A method of differences gives the base where nothing else is merged.
func TestBaseAlone(t *testing.T) {
	for _, text := range []string{
		"merge_method: task_arithmetic\nbase_model: b+l\nmodels: [{model: b+l, parameters: {weight: 2}}]\n",
		"merge_method: sce\nbase_model: b+l\nmodels: [{model: b+l}]\n",
		"merge_method: ties\nbase_model: b+l\nslices: [{sources: [{model: b+l, layer_range: [0, 2]}]}, {sources: [{model: a, layer_range: [0, 2]}, {model: b+l, layer_range: [2, 4]}]}]\n",
	} {
		r := understood(t, text)
		if m := r.Models[0]; m.Path != "b" || !slices.Equal(m.Lora, []string{"l"}) {
			t.Errorf("%s%+v", text, r.Models)
		}
		readsBack(t, r)
	}
	refused(t, "merge_method: model_stock\nbase_model: b\nmodels: [{model: b}]\n", "1: no model is given besides the base model")
	refused(t, "merge_method: nearswap\nbase_model: b\nparameters: {t: 1}\nslices:\n  - sources: [{model: b, layer_range: [0, 2]}]\n", "5: nearswap merges at least 1 models in a slice, 0 given")
}
