package recipe_test

import (
	"testing"

	"weld/stream"
	"weld/stream/recipe"
)

// cased is a method whose defaults depend on what is merged.
var cased = recipe.Schema{{
	Name: "m", Own: true, Base: recipe.Required, MinModels: 1,
	Presets: map[string]map[string]string{"p": {"share": "0.7"}},
	Params: []recipe.Param{
		{Key: "importance", PerModel: true, Kind: recipe.Path},
		{Key: "share", PerModel: true, Kind: recipe.Number, Max: 1, Default: "0.2", Cases: []recipe.DefaultCase{
			{When: []recipe.When{recipe.SeveralModels, recipe.WithImportance}, Text: "0.5"},
			{When: []recipe.When{recipe.SeveralModels}, Text: "0.4"},
		}},
		{Key: "by", Kind: recipe.Choice, Choices: []string{"size", "gradient"}, Default: "gradient", Cases: []recipe.DefaultCase{
			{When: []recipe.When{recipe.WithoutImportance}, Text: "size"},
			{When: []recipe.When{recipe.OneModel}, Text: "gradient"},
		}},
		{Key: "preset", Kind: recipe.Choice, Choices: []string{"p"}},
	},
}}

// Defaults go by the number of models and by importance files, wherever these are said; what is written goes before them, and so does a preset.
func TestDefaultsByOccasion(t *testing.T) {
	const plain = "default"
	for _, test := range []struct {
		name, models, params string
		share, of, by, from  string
	}{
		{"one, without", "{model: a}", "", "0.2", plain, "size", "default with no importance files"},
		{"one, with", "{model: a, parameters: {importance: ga}}", "", "0.2", plain, "gradient", "default with one model"},
		{"two, without", "{model: a}, {model: b}", "", "0.4", "default with several models", "size", "default with no importance files"},
		{"two, with", "{model: a}, {model: b}", "importance: g", "0.5", "default with several models and importance files", "gradient", plain},
		{"two, each with", "{model: a, parameters: {importance: ga}}, {model: b, parameters: {importance: gb}}", "", "0.5", "default with several models and importance files", "gradient", plain},
		{"two, each and all with", "{model: a, parameters: {importance: ga}}, {model: b, parameters: {importance: gb}}", "importance: g", "0.5", "default with several models and importance files", "gradient", plain},
		{"two, one with", "{model: a}, {model: b, parameters: {importance: gb}}", "", "0.4", "default with several models", "gradient", plain},
		{"the base among them", "{model: base}, {model: b}", "", "0.2", plain, "size", "default with no importance files"},
		{"said", "{model: a}, {model: b}", "share: 0.2", "0.2", "", "size", "default with no importance files"},
		{"a preset", "{model: a}, {model: b}", "preset: p", "0.7", "preset p", "size", "default with no importance files"},
	} {
		r, err := cased.Parse("r.yml", []byte("merge_method: m\nbase_model: base\nmodels: ["+test.models+"]\nparameters: {"+test.params+"}\n"))
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		for _, m := range r.Models {
			if v := m.Params["share"]; v.Text != test.share || v.Origin != test.of || (v.Where == recipe.Position{}) == (test.of == "") {
				t.Errorf("%s: share of %s is %+v, want %s of %q", test.name, m.Path, v, test.share, test.of)
			}
		}
		if v := r.Params["by"]; v.Text != test.by || v.Origin != test.from {
			t.Errorf("%s: by is %+v, want %s of %q", test.name, v, test.by, test.from)
		}
		again, err := cased.Parse("r.yml", r.YAML())
		if err != nil || !meansTheSame(r, again) {
			t.Errorf("%s: printed, it is another recipe (%v):\n%s", test.name, err, r.YAML())
		}
	}
}

// What a module says of its models decides as much: a single one is read as a recipe.
func TestDefaultsInAModule(t *testing.T) {
	r, err := cased.Parse("r.yml", []byte("merge_method: m\nbase_model: base\nmodules: {x: {models: [{model: a}, {model: b}], parameters: {importance: g}}}\n"))
	if err != nil || r.Models[0].Params.Text("share") != "0.5" {
		t.Errorf("%v (%v)", r, err)
	}
}

// Each kind of merge is what it says, and slices, of which nothing is known, are none of them.
func TestOccasions(t *testing.T) {
	for when, want := range map[recipe.When][]bool{
		recipe.OneModel: {false, true, true, false, false, false}, recipe.SeveralModels: {false, false, false, true, true, true},
		recipe.WithImportance: {false, false, true, false, false, true}, recipe.WithoutImportance: {false, true, false, true, false, false},
	} {
		p := recipe.Param{Key: "k", Default: "else", Cases: []recipe.DefaultCase{{When: []recipe.When{when}, Text: "then"}}}
		for i, o := range []recipe.Occasion{{}, {Models: 1}, {Models: 1, Informed: 1}, {Models: 2}, {Models: 2, Informed: 1}, {Models: 2, Informed: 2}} {
			if got := p.DefaultFor(o); (got == "then") != want[i] {
				t.Errorf("with %v, of %+v: %s", when, o, got)
			}
		}
	}
}

// People and programs are told of all cases.
func TestDefaultsAreTold(t *testing.T) {
	m, _ := cased.Find("m")
	share, by := m.Params[1], m.Params[2]
	if got, want := share.Defaults(), "0.2, or 0.5 with several models and importance files, or 0.4 with several models"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := m.Params[0].Defaults(); got != "" {
		t.Errorf("of a key without a default %q", got)
	}
	for _, o := range []recipe.Occasion{{}, {Models: 1, Informed: 1}, {Models: 3, Informed: 2}} {
		if got := by.DefaultFor(o); got != "gradient" {
			t.Errorf("%+v: %q", o, got)
		}
	}
	for text, want := range map[string]bool{"0.2": true, "0.20": true, "0.4": false} {
		r, err := cased.Parse("r.yml", []byte("merge_method: m\nbase_model: base\nmodels: [{model: a}]\nparameters: {share: "+text+"}\n"))
		if err != nil || share.HasDefault(r.Models[0].Params["share"]) != want {
			t.Errorf("%s is the default: %v (%v)", text, !want, err)
		}
	}
	if share.HasDefault(recipe.Value{Number: 0.2, Text: "0.2", Varies: true}) || by.HasDefault(recipe.Value{Text: "size"}) || !by.HasDefault(recipe.Value{Text: "gradient"}) {
		t.Error("a value that varies, or another word, is taken for the default, or the word is not")
	}
	other := recipe.MethodSchema{Params: []recipe.Param{{Key: "k", Default: "1"}}, Presets: map[string]map[string]string{"q": {"k": "2"}}}
	if other.IsDefault("q") {
		t.Error("a preset of another value is taken for the default")
	}
	if m.IsDefault("p") || !(&recipe.MethodSchema{Params: []recipe.Param{{Key: "k", Default: "1"}}, Presets: map[string]map[string]string{"q": {"k": "1"}}}).IsDefault("q") {
		t.Error("a preset is taken for the default, or the default is not")
	}
	cases := recipe.MethodSchema{Params: []recipe.Param{by}, Presets: map[string]map[string]string{"q": {"by": "gradient"}}}
	if cases.IsDefault("q") {
		t.Error("a preset is taken for the default, which it is in some merges alone")
	}
}

// What a preset of sta sets is all that decides a merge: nothing of it is left to defaults, which may change. It is the only test of the
// values of presets.
func TestPresetsOfSTA(t *testing.T) {
	want := map[string]map[string]string{
		"paper": {"score": "weight", "normalize_scores": "mean", "scope": "model", "granularity": "element", "density": "0.2", "lambda": "1",
			"combine": "sum", "consensus": "none", "rescale": "none", "contrast": "false"},
		"weighted": {"score": "fisher", "normalize_scores": "mean", "scope": "model", "granularity": "element", "density": "1", "lambda": "1",
			"combine": "importance", "consensus": "none", "rescale": "none", "contrast": "false"},
	}
	schema, _ := stream.Schema().Find("sta")
	for name, values := range want {
		r := parse(t, "merge_method: sta\nbase_model: base\nmodels: [{model: a}, {model: b}]\nparameters: {importance: g, preset: "+name+"}\n")
		for _, p := range schema.Params {
			v, ok := r.Params[p.Key]
			if p.PerModel {
				v, ok = r.Models[0].Params[p.Key]
			}
			switch text, set := values[p.Key]; {
			case set && (v.Text != text || v.Origin != "preset "+name):
				t.Errorf("%s: %s is %+v, want %s of the preset", name, p.Key, v, text)
			case !set && ok && v.Origin == "preset "+name:
				t.Errorf("%s sets %s", name, p.Key)
			case !set && p.Default != "" && p.Key != "weight" && p.Key != "missing_importance" && p.Key != "nonfinite" && p.Key != "missing":
				t.Errorf("%s leaves %s to the defaults", name, p.Key)
			}
		}
	}
	for _, name := range schema.PresetNames() {
		if want[name] == nil {
			t.Errorf("preset %s is new: say here what it sets", name)
		}
	}
}
