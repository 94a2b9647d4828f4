package recipe_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"weld/format"
	"weld/stream/recipe"
)

// mergekit is a schema of mergekit's methods for tests of the language: the package's
// own tests must not wait for the methods.
var mergekit = func() recipe.Schema {
	num := func(key, def string) recipe.Param {
		return recipe.Any(recipe.Param{Key: key, Kind: recipe.Number, Default: def})
	}
	own := func(p recipe.Param) recipe.Param { p.PerModel = true; return p }
	flag := func(key, def string) recipe.Param {
		return recipe.Param{Key: key, Kind: recipe.Bool, Default: def}
	}
	share := func(key, def string) recipe.Param {
		return recipe.Param{Key: key, Kind: recipe.Number, Min: 0, Max: 1, Default: def}
	}
	t := num("t", "")
	t.Required = true
	steps := recipe.Param{Key: "max_iter", Kind: recipe.Number, Integer: true, Min: 1, Max: 1e6, Default: "10"}
	mode := recipe.Param{Key: "mode", Kind: recipe.Choice, Choices: []string{"a", "b"}, PerTensor: true, Default: "a"}
	file := recipe.Param{Key: "file", Kind: recipe.Path, PerModel: true}
	whole := recipe.Param{Key: "nonfinite", Kind: recipe.Choice, Choices: []string{"error", "base"}, Default: "error"}
	weight := own(num("weight", "1"))

	method := func(name string, base recipe.Need, role recipe.BaseRole, least, most int, params ...recipe.Param) recipe.MethodSchema {
		return recipe.MethodSchema{Name: name, Base: base, BaseIs: role, MinModels: least, MaxModels: most, Params: params}
	}
	s := recipe.Schema{
		method("linear", recipe.Optional, recipe.BaseModel, 1, 0, weight, flag("normalize", "true"), mode, file, whole),
		method("slerp", recipe.Required, recipe.BaseFirst, 2, 2, t),
		method("nuslerp", recipe.Optional, recipe.BaseReference, 2, 2, weight, flag("nuslerp_flatten", "true"), flag("nuslerp_row_wise", "false")),
		method("multislerp", recipe.Optional, recipe.BaseReference, 1, 0, weight, flag("normalize_weights", "true"), num("eps", "1e-8")),
		method("karcher", recipe.Optional, recipe.BaseModel, 1, 0, steps, num("tol", "1e-5")),
		method("passthrough", recipe.Optional, recipe.BaseDonor, 1, 1, own(num("scale", "1"))),
		method("model_stock", recipe.Required, recipe.BaseReference, 2, 0, flag("filter_wise", "false")),
		method("nearswap", recipe.Required, recipe.BaseReference, 1, 1, t),
		method("arcee_fusion", recipe.Required, recipe.BaseReference, 1, 1),
		method("sce", recipe.Required, recipe.BaseReference, 1, 0, flag("int8_mask", "false"), share("select_topk", "1")),
		method("ram", recipe.Required, recipe.BaseReference, 1, 0, num("epsilon", "1e-5")),
		method("ramplus_tl", recipe.Required, recipe.BaseReference, 1, 0, num("epsilon", "1e-5"), num("r", "0.1"), num("alpha", "0.2")),
	}
	for _, name := range []string{"task_arithmetic", "ties", "dare_ties", "dare_linear", "breadcrumbs", "breadcrumbs_ties", "della", "della_linear"} {
		s = append(s, method(name, recipe.Required, recipe.BaseReference, 1, 0, weight, own(share("density", "1")), own(share("gamma", "0.01")),
			own(share("epsilon", "0.15")), flag("int8_mask", "false"), flag("normalize", "false"), flag("rescale", "false"), num("lambda", "1"), file, whole))
	}
	return s
}()

// understood reads a recipe of mergekit's methods that must be right.
func understood(t *testing.T, text string) *recipe.Recipe {
	t.Helper()
	r, err := mergekit.Parse("recipe.yml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return r
}

// refused demands the problems of a recipe of mergekit's methods, by their beginnings.
func refused(t *testing.T, text string, want ...string) {
	t.Helper()
	r, err := mergekit.Parse("r.yml", []byte(text))
	ps := problems(t, r, err)
	if len(ps) != len(want) {
		t.Errorf("%v, want %q\n%s", err, want, text)
		return
	}
	for i, p := range ps {
		if !strings.HasPrefix(p.String(), "r.yml:"+want[i]) {
			t.Errorf("%s, want %s …", p, want[i])
		}
	}
}

// Recipes that mergekit ran are read, and what is printed of them is the same.
func TestCasesOfMergekit(t *testing.T) {
	files, err := filepath.Glob("../testdata/mergekit/cases/*.yml")
	if err != nil || len(files) < 100 {
		t.Fatalf("%d cases, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		r, err := mergekit.Parse(filepath.Base(file), text)
		if err != nil {
			t.Error(err)
			continue
		}
		readsBack(t, r)
	}
}

// readsBack demands that a recipe prints as one that means the same.
func readsBack(t *testing.T, r *recipe.Recipe) {
	t.Helper()
	text := r.YAML()
	again, err := mergekit.Parse("printed.yml", text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if string(again.YAML()) != string(text) {
		t.Fatalf("printed\n%s\nand, when read back,\n%s", text, again.YAML())
	}
	if !meansTheSame(r, again) {
		t.Fatalf("reads back as another:\n%s", text)
	}
	for _, ref := range tensorRefs(r) {
		shared, models := r.At(ref)
		sharedAgain, modelsAgain := again.At(ref)
		if !reflect.DeepEqual(texts(shared), texts(sharedAgain)) || len(models) != len(modelsAgain) {
			t.Fatalf("at %+v: %v, then %v\n%s", ref, shared, sharedAgain, text)
		}
		for i := range models {
			if !reflect.DeepEqual(texts(models[i]), texts(modelsAgain[i])) {
				t.Fatalf("at %+v: %v, then %v\n%s", ref, models[i], modelsAgain[i], text)
			}
		}
	}
}

// tensorRefs are some tensors of every slice.
func tensorRefs(r *recipe.Recipe) (all []recipe.TensorRef) {
	for slice := range max(1, len(r.Slices)) {
		n := len(r.Models)
		if r.Slices != nil {
			n = len(r.Slices[slice].Sources)
		}
		for i, name := range []string{"model.embed_tokens.weight", "model.layers.1.mlp.up_proj.weight", "model.layers.10.self_attn.q_proj.weight"} {
			inputs := make([]string, n)
			for k := range inputs {
				inputs[k] = name
			}
			all = append(all, recipe.TensorRef{Slice: slice, Output: name, Inputs: inputs, T: float64(i) / 3})
		}
	}
	return all
}

// A method says what the base model is to it.
func TestBaseRoles(t *testing.T) {
	for _, test := range []struct{ name, text, models string }{
		{"reference", "{merge_method: ties, base_model: b, models: [{model: a}]}", "a"},
		{"reference listed", "{merge_method: ties, base_model: b, models: [{model: b}, {model: a, parameters: {weight: 2}}, {model: c}]}", "a c"},
		{"reference listed with parameters", "{merge_method: ties, base_model: b, models: [{model: b, parameters: {weight: 2}}, {model: a}]}", "a"},
		{"other adapters, other model", "{merge_method: ties, base_model: b, models: [{model: b+l}]}", "b+l"},
		{"other revision, other model", "{merge_method: ties, base_model: b, models: [{model: b@main}]}", "b@main"},
		{"optional reference listed", "{merge_method: nuslerp, base_model: b, models: [{model: a}, {model: b}, {model: c}]}", "a c"},
		{"model added", "{merge_method: linear, base_model: b, models: [{model: a}, {model: c}]}", "a c b"},
		{"model listed", "{merge_method: linear, base_model: b, models: [{model: a}, {model: b}, {model: c}]}", "a b c"},
		{"no base", "{merge_method: karcher, models: [{model: a}, {model: c}]}", "a c"},
		{"first added", "{merge_method: slerp, base_model: b, models: [{model: a}], parameters: {t: 1}}", "b a"},
		{"first listed second", "{merge_method: slerp, base_model: b, models: [{model: a}, {model: b}], parameters: {t: 1}}", "b a"},
		{"first listed first", "{merge_method: slerp, base_model: b, models: [{model: b}, {model: a}], parameters: {t: 1}}", "b a"},
		{"donor", "{merge_method: passthrough, base_model: b, models: [{model: a}]}", "a"},
		{"donor listed", "{merge_method: passthrough, base_model: b, models: [{model: b}]}", "b"},
		{"slices", "{merge_method: slerp, base_model: b, slices: [{sources: [{model: a, layer_range: [0, 1]}, {model: b, layer_range: [1, 2]}]}], parameters: {t: 1}}", "b a"},
	} {
		r := understood(t, test.text)
		var names []string
		for _, m := range r.Models {
			names = append(names, strings.Join(append([]string{m.Path}, m.Lora...), "+"))
		}
		if got := strings.Join(names, " "); got != test.models {
			t.Errorf("%s: models %s, want %s", test.name, got, test.models)
		}
		readsBack(t, r)
	}
	// An added base has the parameters of all.
	r := understood(t, "{merge_method: linear, base_model: b, models: [{model: a, parameters: {weight: 2}}], parameters: {weight: 3}}")
	if a, b := r.Models[0].Params.Number("weight"), r.Models[1].Params.Number("weight"); a != 2 || b != 3 {
		t.Errorf("weights %v and %v, want 2 and 3", a, b)
	}
}

func TestCountsWithBase(t *testing.T) {
	refused(t, "merge_method: slerp\nbase_model: b\nmodels: [{model: b}]\nparameters: {t: 0}\n", "1: slerp merges at least 2 models, 1 given")
	refused(t, "merge_method: slerp\nbase_model: b\nmodels:\n  - model: a\n  - model: c\nparameters: {t: 0}\n", "5: slerp takes at most 2 models, 3 given; the base is one of them")
	refused(t, "merge_method: nearswap\nbase_model: b\nmodels:\n  - model: b\nparameters: {t: 0}\n", "1: no model is given besides the base model")
	refused(t, "merge_method: nearswap\nbase_model: b\nmodels:\n  - model: a\n  - model: b\n  - model: c\nparameters: {t: 0}\n", "6: nearswap takes at most 1 model, 2 given")
	refused(t, "merge_method: slerp\nbase_model: b\nslices:\n  - sources:\n      - {model: a, layer_range: [0, 1]}\n      - {model: c, layer_range: [0, 1]}\nparameters: {t: 0}\n",
		"4: the base model b is no source of this slice")
}

func TestReferences(t *testing.T) {
	for _, test := range []struct {
		text, path string
		lora       []string
	}{
		{"a", "a", nil},
		{"org/name@v1.2", "org/name@v1.2", nil},
		{"a+l", "a", []string{"l"}},
		{"org/a@main+org/l@r+m", "org/a@main", []string{"org/l@r", "m"}},
		{"{model: a}", "a", nil},
		{"{model: a, lora: l}", "a", []string{"l"}},
		{"{model: a, lora: ~}", "a", nil},
		{"{model: a, lora: [l, {path: m, revision: r}]}", "a", []string{"l", "m@r"}},
		{"{model: {path: a, revision: r}, lora: {path: l}}", "a@r", []string{"l"}},
		{"{model: {path: a, revision: ~}}", "a", nil},
		{"{model: {path: /c++/a}}", "/c++/a", nil},
		{"{model: c+, lora: +l}", "c+", []string{"+l"}},
	} {
		r := understood(t, "merge_method: linear\nmodels:\n  - model: "+test.text+"\n")
		if m := r.Models[0]; m.Path != test.path || !reflect.DeepEqual(m.Lora, test.lora) {
			t.Errorf("%s: %q %q, want %q %q", test.text, m.Path, m.Lora, test.path, test.lora)
		}
		readsBack(t, r)
		r = understood(t, "merge_method: ties\nbase_model: "+test.text+"\nmodels: [{model: other}]\n")
		if r.Base != test.path || !reflect.DeepEqual(r.BaseLora, test.lora) {
			t.Errorf("base %s: %q %q, want %q %q", test.text, r.Base, r.BaseLora, test.path, test.lora)
		}
		readsBack(t, r)
	}
	// A path that a program gives is none that someone wrote.
	d := recipe.Draft{Method: recipe.Setting{Text: "linear"}, Models: []recipe.DraftModel{{Path: recipe.Setting{Text: "c++", Literal: true}}}}
	if r, err := mergekit.Resolve(&d); err != nil || r.Models[0].Path != "c++" || r.Models[0].Lora != nil {
		t.Errorf("literal: %v, %v", r, err)
	}
}

func TestSlices(t *testing.T) {
	r := understood(t, `
merge_method: task_arithmetic
base_model: b
slices:
  - sources:
      - {model: b, layer_range: [0, 2]}
      - {model: a, layer_range: ["4", 6.0]}
  - base_model: c
    sources:
      - {model: d+l, layer_range: [1, 2]}
      - {model: c, layer_range: [0, 1]}
  - sources:
      - {model: a, layer_range: [0, 1]}
      - {model: b, layer_range: [3, 4]}
`)
	want := []recipe.Slice{
		{Sources: []recipe.SliceSource{{Model: 0, First: 0, Last: 2, Base: true}, {Model: 1, First: 4, Last: 6}}},
		{Sources: []recipe.SliceSource{{Model: 2, First: 1, Last: 2}, {Model: 3, First: 0, Last: 1, Base: true}}, Base: "c"},
		{Sources: []recipe.SliceSource{{Model: 1, First: 0, Last: 1}, {Model: 0, First: 3, Last: 4, Base: true}}},
	}
	lines := []int{5, 8, 12}
	for i, s := range r.Slices {
		if s.Where.Line != lines[i] {
			t.Errorf("slice %d: line %d, want %d", i, s.Where.Line, lines[i])
		}
		s.Where = recipe.Position{}
		if !reflect.DeepEqual(s, want[i]) {
			t.Errorf("slice %d: %+v, want %+v", i, s, want[i])
		}
	}
	if r.Varies() {
		t.Error("nothing varies")
	}
	shared, models := r.At(recipe.TensorRef{Slice: 0})
	again, others := r.At(recipe.TensorRef{Slice: 2, Output: "x", T: 0.5})
	if !one(shared, again) || !one(models[1], others[0]) {
		t.Error("where nothing varies, the maps are not the same")
	}
	readsBack(t, r)
}

// one reports the same map.
func one(a, b recipe.Values) bool {
	return reflect.ValueOf(a).UnsafePointer() == reflect.ValueOf(b).UnsafePointer()
}

// What cannot differ between slices is said once of a model, whichever slice says it.
func TestFixedOfSources(t *testing.T) {
	r := understood(t, `
merge_method: linear
slices:
  - sources:
      - {model: a, layer_range: [0, 1]}
  - sources:
      - {model: a, layer_range: [1, 2], parameters: {file: f}}
`)
	if got := r.Models[0].Params.Text("file"); got != "f" || r.Varies() {
		t.Errorf("file %q, varies %v", got, r.Varies())
	}
	readsBack(t, r)
}

func TestModule(t *testing.T) {
	r := understood(t, `
merge_method: linear
modules:
  default:
    models:
      - model: a
    parameters:
      weight: [2, 3]
      normalize: {filter: mlp, value: false}
parameters:
  weight: 5
  normalize: {filter: "*", value: true}
`)
	if w := r.Models[0].Params["weight"]; w.Number != 2 || !w.Varies {
		t.Errorf("weight %+v", w)
	}
	for name, want := range map[string]bool{"x.mlp.y": false, "x.attn": true} {
		if shared, _ := r.At(recipe.TensorRef{Output: name}); shared.Bool("normalize") != want {
			t.Errorf("%s: normalize %v", name, !want)
		}
	}
	readsBack(t, r)
}

func TestDTypes(t *testing.T) {
	for text, want := range map[string][2]format.DType{
		"":                                      {format.Invalid, format.Invalid},
		"dtype: float16\n":                      {format.F16, format.Invalid},
		"out_dtype: float16\n":                  {format.F16, format.F16},
		"out_dtype: bfloat16\ndtype: float32\n": {format.BF16, format.BF16},
		"out_dtype: ~\ndtype: float32\n":        {format.F32, format.Invalid},
		"dtype: null\n":                         {format.Invalid, format.Invalid},
	} {
		r := understood(t, "merge_method: linear\nmodels: [{model: a}]\n"+text)
		if r.DType != want[0] || r.OutDType != want[1] {
			t.Errorf("%q: %v and %v, want %v", text, r.DType, r.OutDType, want)
		}
		readsBack(t, r)
	}
}

func TestNullIsAbsent(t *testing.T) {
	r := understood(t, "merge_method: linear\nbase_model: ~\nmodels:\n  - model: a\n    parameters:\nslices: null\nmodules: {}\nparameters: ~\n"+
		"tokenizer: ~\ntokenizer_source:\nchat_template: ~\ndtype:\n")
	if r.Base != "" || r.Slices != nil || r.Tokenizer != nil || r.ChatTemplate != "" {
		t.Errorf("%+v", r)
	}
	readsBack(t, r)
}
