package recipe_test

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"weld/format"
	"weld/stream"
	"weld/stream/recipe"
)

// Wrong recipes are files in fuzz/testdata/malformed/recipe, with what must be said
// about each. The tests here are about recipes that are right, and about what no small
// file can show.

// parse reads a recipe that must be right.
func parse(t *testing.T, text string) *recipe.Recipe {
	t.Helper()
	r, err := stream.Schema().Parse("recipe.yml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return r
}

// problems demands that an error is one of recipes.
func problems(t *testing.T, r *recipe.Recipe, err error) recipe.Problems {
	t.Helper()
	var ps recipe.Problems
	if r != nil || !errors.As(err, &ps) {
		t.Fatalf("got %v, %v, want problems", r, err)
	}
	return ps
}

// texts are the values as they would be written.
func texts(values recipe.Values) map[string]string {
	all := make(map[string]string)
	for key, v := range values {
		all[key] = v.Text
	}
	return all
}

// What holds where a recipe says nothing: the form of arXiv 2411.16139.
func TestDefaultsOfSTA(t *testing.T) {
	r := parse(t, `
merge_method: sta
base_model: base
models:
  - model: a
    parameters:
      importance: ga
`)
	want := map[string]string{
		"score": "delta", "normalize_scores": "mean", "scope": "model", "granularity": "element",
		"lambda": "1", "combine": "importance", "consensus": "none", "rescale": "none",
		"contrast": "false", "missing_importance": "error", "nonfinite": "error", "missing": "error",
	}
	if got := texts(r.Params); !maps.Equal(got, want) {
		t.Errorf("global values\n%v, want\n%v", got, want)
	}
	want = map[string]string{"importance": "ga", "weight": "1", "density": "0.2"}
	if got := texts(r.Models[0].Params); !maps.Equal(got, want) {
		t.Errorf("the model's values\n%v, want\n%v", got, want)
	}
	if r.Models[0].Params.Number("density") != 0.2 || r.Params.Number("lambda") != 1 || r.DType != format.Invalid {
		t.Errorf("density %v, lambda %v, dtype %v", r.Models[0].Params.Number("density"), r.Params.Number("lambda"), r.DType)
	}
}

func TestDefaultsOfOtherMethods(t *testing.T) {
	for _, test := range []struct {
		method        string
		global, model map[string]string
	}{
		{"task_arithmetic", map[string]string{"int8_mask": "false", "lambda": "1", "normalize": "false", "nonfinite": "error", "missing": "error"}, map[string]string{"weight": "1"}},
		{"linear", map[string]string{"normalize": "true", "nonfinite": "error", "missing": "error"}, map[string]string{"weight": "1"}},
		{"passthrough", map[string]string{"nonfinite": "error", "missing": "error"}, map[string]string{"scale": "1"}},
	} {
		r := parse(t, "merge_method: "+test.method+"\nbase_model: base\nmodels: [{model: a}]\n")
		if got := texts(r.Params); !maps.Equal(got, test.global) {
			t.Errorf("%s: global values %v, want %v", test.method, got, test.global)
		}
		if got := texts(r.Models[0].Params); !maps.Equal(got, test.model) {
			t.Errorf("%s: the model's values %v, want %v", test.method, got, test.model)
		}
	}
}

// A preset stands in for defaults; what is written, at any level, goes before it.
func TestPresets(t *testing.T) {
	const weighted = "preset: weighted"
	for _, test := range []struct {
		name, global, model string
		want                map[string]string // of "key" globally, of "model.key" for the model
	}{
		{"paper", "preset: paper", "", map[string]string{"combine": "sum", "score": "weight", "lambda": "1", "model.density": "0.2"}},
		{"paper, and a key", "preset: paper, combine: mean", "density: 0.3", map[string]string{"combine": "mean", "score": "weight", "model.density": "0.3"}},
		{"a threshold in place of the preset's density", "preset: paper, threshold: 2", "", map[string]string{"model.threshold": "2", "model.density": ""}},
		{"weighted", weighted, "", map[string]string{"combine": "importance", "score": "fisher", "lambda": "1", "model.density": "1"}},
		{"global key", weighted + ", score: delta", "", map[string]string{"combine": "importance", "score": "delta", "model.density": "1"}},
		{"key before the preset", "lambda: 0.7, " + weighted, "", map[string]string{"lambda": "0.7", "combine": "importance"}},
		{"global density", weighted + ", density: 0.5", "", map[string]string{"model.density": "0.5", "score": "fisher"}},
		{"the model's density", weighted, "density: 0.3", map[string]string{"model.density": "0.3", "score": "fisher"}},
		{"both densities", weighted + ", density: 0.5", "density: 0.3", map[string]string{"model.density": "0.3"}},
		{"a key back to its default", weighted + ", combine: sum", "", map[string]string{"combine": "sum", "score": "fisher"}},
		{"a key that it does not set", weighted + ", scope: tensor", "", map[string]string{"scope": "tensor", "combine": "importance"}},
	} {
		r := parse(t, "merge_method: sta\nbase_model: base\nmodels:\n  - model: a\n    parameters: {importance: ga, "+test.model+"}\nparameters: {"+test.global+"}\n")
		for key, want := range test.want {
			got := r.Params.Text(key)
			if own, ok := strings.CutPrefix(key, "model."); ok {
				got = r.Models[0].Params.Text(own)
			}
			if got != want {
				t.Errorf("%s: %s is %q, want %q", test.name, key, got, want)
			}
		}
	}
}

// A model's key among the global ones serves every model that does not say otherwise.
func TestGlobalValuesServeAllModels(t *testing.T) {
	r := parse(t, `
merge_method: sta
base_model: base
models:
  - model: a
  - model: b
    parameters: {density: 0.3, importance: gb}
  - model: c
    parameters: {weight: -1, statistic: score}
parameters:
  importance: g
  density: 0.1
  weight: 2
  statistic: mean_sq_grad
`)
	want := []map[string]string{
		{"importance": "g", "density": "0.1", "weight": "2", "statistic": "mean_sq_grad"},
		{"importance": "gb", "density": "0.3", "weight": "2", "statistic": "mean_sq_grad"},
		{"importance": "g", "density": "0.1", "weight": "-1", "statistic": "score"},
	}
	for i, m := range r.Models {
		if got := texts(m.Params); !maps.Equal(got, want[i]) {
			t.Errorf("model %s: %v, want %v", m.Path, got, want[i])
		}
	}
	for _, key := range []string{"importance", "density", "weight", "statistic"} {
		if r.Params.Has(key) {
			t.Errorf("%s is left among the global values", key)
		}
	}
}

// The forms in which mergekit's users and YAML write the same thing.
func TestSpellings(t *testing.T) {
	plain := parse(t, "merge_method: task_arithmetic\nbase_model: base\nmodels:\n  - model: a\n    parameters:\n      weight: 0.5\nparameters:\n  normalize: true\nout_dtype: bfloat16\n")
	for name, text := range map[string]string{
		"flow":            `{merge_method: task_arithmetic, base_model: base, models: [{model: a, parameters: {weight: 0.5}}], parameters: {normalize: true}, out_dtype: bfloat16}`,
		"JSON":            `{"merge_method": "task_arithmetic", "base_model": "base", "models": [{"model": "a", "parameters": {"weight": 0.5}}], "parameters": {"normalize": true}, "out_dtype": "bfloat16"}`,
		"other order":     "out_dtype: bfloat16\nparameters:\n  normalize: true\nmodels:\n  - parameters:\n      weight: 0.5\n    model: a\nbase_model: base\nmerge_method: task_arithmetic\n",
		"quotes":          "merge_method: 'task_arithmetic'\nbase_model: \"base\"\nmodels:\n  - model: 'a'\n    parameters:\n      weight: \"0.5\"\nparameters:\n  normalize: 'true'\nout_dtype: 'bfloat16'\n",
		"global weight":   "merge_method: task_arithmetic\nbase_model: base\nmodels:\n  - model: a\nparameters:\n  normalize: true\n  weight: 0.5\nout_dtype: bfloat16\n",
		"torch's name":    "merge_method: task_arithmetic\nbase_model: base\nmodels: [{model: a, parameters: {weight: 0.5}}]\nparameters: {normalize: True}\ndtype: torch.bfloat16\n",
		"safetensors'":    "merge_method: task_arithmetic\nbase_model: base\nmodels: [{model: a, parameters: {weight: 0.5}}]\nparameters: {normalize: TRUE}\ndtype: bf16\n",
		"out_dtype wins":  "merge_method: task_arithmetic\nbase_model: base\nmodels: [{model: a, parameters: {weight: 0.5}}]\nparameters: {normalize: true}\nout_dtype: bfloat16\ndtype: float32\n",
		"anchors":         "merge_method: task_arithmetic\nbase_model: base\nmodels:\n  - model: a\n    parameters: {weight: &half 0.5}\nparameters: &all\n  normalize: true\n  weight: *half\nout_dtype: bfloat16\n",
		"YAML 1.2":        "%YAML 1.2\n---\n" + string(plain.YAML()),
		"comments, marks": "%YAML 1.1\n---\n# a merge\nmerge_method: task_arithmetic # as in the paper\nbase_model: base\nmodels: [{model: a, parameters: {weight: 0.5}}]\nparameters: {normalize: true}\nout_dtype: bfloat16\n...\n",
		"Windows' lines":  strings.ReplaceAll(string(plain.YAML()), "\n", "\r\n"),
		"byte order mark": "\ufeff" + string(plain.YAML()),
	} {
		if got := parse(t, text); !meansTheSame(plain, got) {
			t.Errorf("%s: another recipe:\n%s", name, got.YAML())
		}
	}
}

// Positions lead to the line of a value, for what is found out later.
func TestPlaces(t *testing.T) {
	r := parse(t, "merge_method: linear\nmodels:\n  - model: a\n    parameters:\n      weight: 2\n  -\n    model: b\n")
	if at := r.Models[0].Params["weight"].Where.Line; at != 5 {
		t.Errorf("weight: line %d, want 5", at)
	}
	if at := r.Models[1].Where.Line; at != 7 {
		t.Errorf("second model: line %d, want 7", at)
	}
	if at := r.Params["normalize"].Where; at != (recipe.Position{}) {
		t.Errorf("a default has the position %+v", at)
	}
}

func TestSizeLimit(t *testing.T) {
	text := "merge_method: linear\nmodels: [{model: a}]\n#"
	full := text + strings.Repeat("x", recipe.MaxSize-len(text))
	parse(t, full)
	r, err := stream.Schema().Parse("big.yml", []byte(full+"x"))
	if ps := problems(t, r, err); len(ps) != 1 || !strings.Contains(ps[0].String(), "big.yml: a recipe of 1048577 bytes is over the limit of 1048576") {
		t.Errorf("%v", err)
	}
}

// Aliases cost what they take to write, however much they stand for.
func TestAliasesAreNotExpanded(t *testing.T) {
	var text strings.Builder
	text.WriteString("merge_method: linear\nparameters: {weight: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]}\n")
	for i := range 40 { // 9⁴¹ numbers
		text.WriteString("k" + strconv.Itoa(i) + ": &a" + strconv.Itoa(i+1) + " [" + strings.TrimSuffix(strings.Repeat("*a"+strconv.Itoa(i)+", ", 9), ", ") + "]\n")
	}
	text.WriteString("models: *a40\n")
	r, err := stream.Schema().Parse("bomb.yml", []byte(text.String())) // would not end
	problems(t, r, err)
}

func TestManyModels(t *testing.T) {
	const n = 50_000
	r := parse(t, "merge_method: linear\nmodels:\n  - &m {model: a}\n"+strings.Repeat("  - *m\n", n-1))
	if len(r.Models) != n {
		t.Errorf("%d models, want %d", len(r.Models), n)
	}
}

// What is wrong with flags names the flag, and proposes flags.
func TestProblemsOfFlags(t *testing.T) {
	at := func(flag string) recipe.Position { return recipe.Position{Flag: flag} }
	set := func(key, text string) recipe.Setting {
		return recipe.Setting{Key: key, Text: text, Where: at("--" + strings.ReplaceAll(key, "_", "-"))}
	}
	model := recipe.DraftModel{Path: recipe.Setting{Key: "model", Text: "a", Where: at("--model")}}
	sta := recipe.Setting{Key: "method", Text: "sta", Where: at("--method")}
	for _, test := range []struct {
		name  string
		draft recipe.Draft
		want  []string
	}{
		{"nothing", recipe.Draft{Method: set("method", "")}, []string{"--method: no merge method is given: choose from ota, perta, sta, "}},
		{"method only", recipe.Draft{Method: sta}, []string{"--method: sta needs a base model (--base PATH)", "--method: no model is given (--model PATH)"}},
		{"unknown method", recipe.Draft{Method: set("method", "stq")}, []string{`--method: unknown merge method "stq" (did you mean sta?)`}},
		{"range", recipe.Draft{Method: sta, Base: set("base", "b"), Models: []recipe.DraftModel{model}, Params: []recipe.Setting{set("density", "1.5"), set("importance", "g")}},
			[]string{`--density: "1.5" is not a number from 0 to 1`}},
		{"no importance", recipe.Draft{Method: sta, Base: set("base", "b"), Models: []recipe.DraftModel{model}, Params: []recipe.Setting{set("preset", "paper")}},
			[]string{"--model: score weight needs an importance file: give one for a, or score magnitude, which ranks by the size of the update without one"}},
		{"needed", recipe.Draft{Method: set("method", "slerp"), Base: set("base", "b"), Models: []recipe.DraftModel{model}}, []string{"--method: slerp needs --t: a number"}},
		{"another method's key", recipe.Draft{Method: sta, Base: set("base", "b"), Models: []recipe.DraftModel{model}, Params: []recipe.Setting{set("scale", "2"), set("importance", "g")}},
			[]string{`--scale: sta has no parameter "scale"; methods that have it: passthrough`}},
		{"dtype", recipe.Draft{Method: sta, Base: set("base", "b"), DType: set("out_dtype", "int4"), Models: []recipe.DraftModel{model}, Params: []recipe.Setting{set("importance", "g")}},
			[]string{`--out-dtype: out_dtype "int4" is no type that weld computes with`}},
		{"encoding", recipe.Draft{Method: sta, Base: set("base", "b\xff"), Models: []recipe.DraftModel{model}, Params: []recipe.Setting{set("importance", "g")}},
			[]string{`--base: "b\xff" is not UTF-8, which a recipe must be`}},
		{"no path", recipe.Draft{Method: sta, Base: set("base", "b"), Models: []recipe.DraftModel{{Path: set("model", "")}}, Params: []recipe.Setting{set("importance", "g")}},
			[]string{"--model: a model without a path"}},
	} {
		r, err := stream.Schema().Resolve(&test.draft)
		ps := problems(t, r, err)
		if len(ps) != len(test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
			continue
		}
		for i, p := range ps {
			if !strings.HasPrefix(p.String(), test.want[i]) {
				t.Errorf("%s: %s, want %s …", test.name, p, test.want[i])
			}
		}
	}
}

func TestMismatch(t *testing.T) {
	d := recipe.Draft{
		Method: recipe.Setting{Text: "linear"},
		Models: []recipe.DraftModel{{Path: recipe.Setting{Text: "a"}}, {Path: recipe.Setting{Text: "b"}}},
	}
	d.Mismatch(recipe.Setting{Key: "weight", Where: recipe.Position{Flag: "--weight"}}, 3)
	r, err := stream.Schema().Resolve(&d)
	const want = "--weight: given 3 times for 2 models: give it once for each, or once for all"
	if ps := problems(t, r, err); len(ps) != 1 || ps[0].String() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// meansTheSame compares recipes without the positions where things were written. A
// preset is spelled out when a recipe is printed.
func meansTheSame(a, b *recipe.Recipe) bool {
	same := func(a, b recipe.Values) bool { return maps.Equal(unplaced(a), unplaced(b)) }
	return a.Method.Name == b.Method.Name && a.Base == b.Base && slices.Equal(a.BaseLora, b.BaseLora) && a.DType == b.DType && same(a.Params, b.Params) &&
		slices.EqualFunc(a.Models, b.Models, func(a, b recipe.Model) bool {
			return a.Path == b.Path && slices.Equal(a.Lora, b.Lora) && same(a.Params, b.Params)
		}) &&
		slices.EqualFunc(a.Slices, b.Slices, func(a, b recipe.Slice) bool {
			return a.Base == b.Base && slices.Equal(a.BaseLora, b.BaseLora) && slices.Equal(a.Sources, b.Sources)
		}) &&
		reflect.DeepEqual(unplacedTokenizer(a.Tokenizer), unplacedTokenizer(b.Tokenizer)) && a.ChatTemplate == b.ChatTemplate
}

func unplaced(values recipe.Values) recipe.Values {
	bare := make(recipe.Values)
	for key, v := range values {
		if key != recipe.PresetKey {
			v.Where, v.Origin = recipe.Position{}, ""
			bare[key] = v
		}
	}
	return bare
}
