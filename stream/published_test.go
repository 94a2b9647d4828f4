package stream

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"weld/format/open"
	planning "weld/stream/plan"
	"weld/stream/recipe"
)

// The recipes in testdata/recipes have the shapes that people publish. Each is planned and
// merged as it is, over small models of real form. What mergekit's own planner resolves of each
// (values.json, written by .ci/interop/mergekit_recipes.py) is held against the plan: every
// tensor, what goes into it, every parameter. The table has what a reader can check by hand.
func TestPublishedRecipes(t *testing.T) {
	t.Chdir("testdata/recipes")
	resolved := resolvedByMergekit(t)
	files, err := filepath.Glob("*.yml")
	if err != nil || len(files) < 60 {
		t.Fatalf("%d recipes (%v)", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(file, ".yml")
		if _, ok := published[name]; !ok {
			t.Errorf("%s is not in the table", file)
		}
	}
	for name, want := range published {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			known, listed := resolved[name]
			if !listed || (known == nil) != want.refused {
				t.Fatalf("values.json: listed %v, refused by mergekit %v", listed, known == nil)
			}
			publishedRecipe(t, name, want, known)
		})
	}
}

func publishedRecipe(t *testing.T, name string, want facts, known *resolution) {
	data, err := os.ReadFile(name + ".yml")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(data), "# ") && name != "document" {
		t.Error("the recipe does not begin with what it stands for")
	}
	r, err := Schema().Parse(name+".yml", data)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	plan, err := Prepare(r, out, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer plan.Close()
	planned(t, plan, want)
	if known != nil {
		known.compare(t, plan)
	}
	if _, err := plan.Merge(context.Background()); err != nil {
		t.Fatal(err)
	}
	written(t, plan, out)
}

// planned holds a plan against the table.
func planned(t *testing.T, plan *Prepared, want facts) {
	summary := plan.Summary()
	if want.fused == 0 && want.copied == 0 {
		want.fused = 39
	}
	if want.rows == 0 {
		want.rows = 24
	}
	var layers int64 // that slices put together
	if plan.Recipe.Slices != nil {
		layers = layersOf(len(plan.Tensors), func(i int) string { return plan.Tensors[i].Name })
	}
	if summary.Fused != want.fused || summary.Copied != want.copied || layers != want.layers {
		t.Errorf("%d fused, %d copied, %d layers; want %d, %d, %d", summary.Fused, summary.Copied, layers, want.fused, want.copied, want.layers)
	}
	for _, x := range plan.Tensors {
		if x.DType != want.dtype {
			t.Errorf("%s is %v, want %v", x.Name, x.DType, want.dtype)
		}
		if (x.Name == "model.embed_tokens.weight" || x.Name == "lm_head.weight") && x.Shape[0] != want.rows {
			t.Errorf("%s has %d rows, want %d", x.Name, x.Shape[0], want.rows)
		}
	}
	for _, part := range want.notes {
		if !slices.ContainsFunc(summary.Notes, func(n string) bool { return strings.Contains(n, part) }) {
			t.Errorf("no note says %q: %q", part, summary.Notes)
		}
	}
	for _, line := range want.values {
		valued(t, plan, strings.Fields(line))
	}
}

// valued checks one line of the table's values.
func valued(t *testing.T, plan *Prepared, words []string) {
	at := 1
	if len(words) == 4 && words[0] != "from" {
		at = 2
	}
	i := slices.IndexFunc(plan.Tensors, func(x planning.Tensor) bool { return x.Name == words[at] })
	if i < 0 {
		t.Errorf("%q: no such tensor", words)
		return
	}
	x := plan.Tensors[i]
	if words[0] == "from" {
		if path, tensor := origin(plan, x); path != words[2] || tensor != words[3] {
			t.Errorf("%q: it is from %s, %s", words, path, tensor)
		}
		return
	}
	values := x.Shared
	if at == 2 {
		k := slices.IndexFunc(x.Models, func(p planning.ModelTensor) bool { return plan.Models[p.Model].Path == words[1] })
		if k < 0 {
			t.Errorf("%q: the model takes no part", words)
			return
		}
		values = x.Models[k].Params
	}
	want, err := strconv.ParseFloat(words[len(words)-1], 64)
	if err != nil {
		t.Fatal(err)
	}
	if got := values.Number(words[0]); !near(got, want) {
		t.Errorf("%q: it is %v", words, got)
	}
}

// origin is where a tensor with one source comes from.
func origin(p *Prepared, x planning.Tensor) (path, tensor string) {
	if x.Action == planning.Copy {
		return x.From.Path, x.From.Tensors()[x.Index].Name
	}
	m := p.Models[x.Models[0].Model]
	return m.Path, m.Tensors()[x.Models[0].Index].Name
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-12*max(1, math.Abs(a)) }

// written demands the planned tensors and config.json that says as many layers and rows.
func written(t *testing.T, plan *Prepared, out string) {
	c, err := open.Checkpoint(out)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if len(c.Tensors()) != len(plan.Tensors) {
		t.Errorf("%d tensors are written, %d were planned", len(c.Tensors()), len(plan.Tensors))
	}
	var config struct {
		Layers int64 `json:"num_hidden_layers"`
		Rows   int64 `json:"vocab_size"`
	}
	data, err := os.ReadFile(filepath.Join(out, "config.json"))
	if err == nil {
		err = json.Unmarshal(data, &config)
	}
	if err != nil {
		t.Fatal(err)
	}
	layers := layersOf(len(c.Tensors()), func(i int) string { return c.Tensors()[i].Name })
	i, _ := c.Find("model.embed_tokens.weight")
	if rows := c.Tensors()[i].Shape[0]; config.Layers != layers || config.Rows != rows {
		t.Errorf("config.json says %d layers and %d rows, written are %d and %d", config.Layers, config.Rows, layers, rows)
	}
}

// resolution is what mergekit's planner makes of a recipe.
type resolution struct {
	Params  []map[string]any `json:"params"`
	Tensors []resolvedTensor `json:"tensors"`
}

// resolvedTensor is a tensor of the output: its name, which parameters hold for it, and what
// goes into it.
type resolvedTensor struct {
	name   string
	shared int
	inputs []resolvedInput
}

func (x *resolvedTensor) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&x.name, &x.shared, &x.inputs})
}

// resolvedInput is a model, its tensor ("" for the same name) and which parameters it has.
type resolvedInput struct {
	model, tensor string
	own           int
}

func (x *resolvedInput) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&x.model, &x.tensor, &x.own})
}

func resolvedByMergekit(t *testing.T) (all map[string]*resolution) {
	data, err := os.ReadFile("values.json")
	if err == nil {
		err = json.Unmarshal(data, &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// compare demands the same tensors, the same tensors of the same models in each, and the same
// parameters.
func (r *resolution) compare(t *testing.T, plan *Prepared) {
	index := make(map[string]int)
	for i, x := range plan.Tensors {
		index[x.Name] = i
	}
	if len(r.Tensors) != len(plan.Tensors) {
		t.Errorf("%d tensors are planned, mergekit plans %d", len(plan.Tensors), len(r.Tensors))
	}
	for _, want := range r.Tensors {
		i, ok := index[want.name]
		if !ok {
			t.Errorf("%s is not planned", want.name)
			continue
		}
		r.compareTensor(t, plan, plan.Tensors[i], want)
	}
}

func (r *resolution) compareTensor(t *testing.T, plan *Prepared, x planning.Tensor, want resolvedTensor) {
	if x.Action == planning.Copy {
		path, tensor := origin(plan, x)
		if len(want.inputs) != 1 || path != want.inputs[0].model || tensor != want.inputs[0].named(want.name) {
			t.Errorf("%s is copied from %s, %s; mergekit has %v", x.Name, path, tensor, want.inputs)
		}
		return
	}
	sameValues(t, x.Name, x.Shared, r.Params[want.shared])
	found := make(map[string]planning.ModelTensor)
	for _, p := range x.Models {
		found[plan.Models[p.Model].Path] = p
	}
	for _, in := range want.inputs {
		p, ok := found[in.model]
		switch {
		case ok:
			m := plan.Models[p.Model]
			if got := m.Tensors()[p.Index].Name; got != in.named(want.name) {
				t.Errorf("%s takes %s of %s, mergekit %s", x.Name, got, m.Path, in.named(want.name))
			}
			sameValues(t, x.Name+" of "+m.Path, p.Params, r.Params[in.own])
			delete(found, in.model)
		case x.Base < 0 || x.Reference.Path != in.model:
			t.Errorf("%s: %s takes no part", x.Name, in.model)
		default:
			if got := x.Reference.Tensors()[x.Base].Name; got != in.named(want.name) {
				t.Errorf("%s is compared with %s, by mergekit with %s", x.Name, got, in.named(want.name))
			}
		}
	}
	for path := range found {
		t.Errorf("%s: %s takes part, in mergekit it does not", x.Name, path)
	}
}

func (in resolvedInput) named(output string) string {
	if in.tensor == "" {
		return output
	}
	return in.tensor
}

// sameValues compares parameters by all keys that mergekit has.
func sameValues(t *testing.T, what string, got recipe.Values, want map[string]any) {
	for key, v := range want {
		if !got.Has(key) && inert[key] {
			continue
		}
		var number float64
		switch v := v.(type) {
		case nil:
			number = 1 // scale, where nothing is scaled
		case float64:
			number = v
		case bool:
			if got.Bool(key) != v {
				t.Errorf("%s: %s is %v, mergekit has %v", what, key, got.Bool(key), v)
			}
			continue
		}
		if g, ok := got[key]; !ok || !near(g.Number, number) {
			t.Errorf("%s: %s is %v, mergekit has %v", what, key, g.Number, v)
		}
	}
}
