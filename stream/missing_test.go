package stream

import (
	"path/filepath"
	"strings"
	"testing"

	"weld/format"
	"weld/stream/recipe"
)

// everyMethod are requests that all methods take, over two models.
func everyMethod() (all []request) {
	for _, m := range Schema() {
		q := ask(m.Name)
		if _, ok := findParam(m, "t"); ok {
			q.settings = append(q.settings, "t=0.3")
		}
		if m.Name == "passthrough" {
			q.settings = append(q.settings, "scale=0.5")
		}
		all = append(all, q)
	}
	return append(all, ask("sta", "score=magnitude"), ask("sta", "combine=mean", "score=magnitude"), ask("ties", "density=0.4"), ask("task_arithmetic", "normalize=true"),
		ask("model_stock", "filter_wise=true"), ask("linear", "normalize=false"), ask("passthrough"))
}

func findParam(m recipe.MethodSchema, key string) (recipe.Param, bool) {
	for _, p := range m.Params {
		if p.Key == key {
			return p, true
		}
	}
	return recipe.Param{}, false
}

func (q request) with(settings ...string) request {
	return request{q.method, append(append([]string{}, q.settings...), settings...)}
}

func (q request) String() string { return strings.Join(append([]string{q.method}, q.settings...), " ") }

// Under missing: base, a model that lacks a tensor is merged as though it had the base's: the same bytes as of files
// that were completed by hand. Under drop the tensor is not there, and all others are what they were.
func TestMissing(t *testing.T) {
	complete := newFamily(2, small()...)
	for m := range complete.models {
		for i, x := range complete.base {
			if x.Name == "c" || x.Name == "b" && m == 1 {
				complete.models[m][i] = tensor{x.Tensor, x.data}
			}
		}
	}
	lacking := complete
	lacking.models = []checkpoint{complete.models[0].without("c"), complete.models[1].without("b", "c")}
	for _, q := range everyMethod() {
		t.Run(q.String(), func(t *testing.T) {
			whole, p := complete.save(t), lacking.save(t)
			over := func(p savedFamily, settings ...string) request {
				if method, _ := Schema().Find(q.method); method.Base == recipe.Optional {
					settings = append(settings, "base="+p.base)
				}
				return q.with(settings...)
			}

			err := p.fails(t, over(p), "", Options{})
			if format.KindOf(err) != format.KindMissing || !strings.Contains(err.Error(), "which "+p.base+" has; missing: base takes it from there, missing: drop leaves it out") {
				t.Errorf("%v", err)
			}

			whole.must(t, over(whole), whole.out("out.safetensors"), Options{})
			p.must(t, over(p, "missing=base"), p.out("out.safetensors"), Options{})
			want, _ := load(t, read(t, whole.out("out.safetensors")))
			got, _ := load(t, read(t, p.out("out.safetensors")))
			equalTensors(t, got, want)

			plan := p.plan(t, over(p, "missing=base"), "", Options{})
			notes := strings.Join(plan.Notes, "\n")
			plan.Close()
			if says := p.models[0] + `: tensor "c": not there; taken as ` + p.base + ` has it (missing: base)`; !strings.Contains(notes, says) {
				t.Errorf("notes %s\nlack %s", notes, says)
			}

			if q.method == "sta" {
				return // its thresholds are those of the tensors that there are
			}
			p.must(t, over(p, "missing=drop"), p.out("dropped.safetensors"), Options{})
			got, _ = load(t, read(t, p.out("dropped.safetensors")))
			gone := []string{"c"}
			if method, _ := Schema().Find(q.method); method.MaxModels != 1 && method.BaseIs != recipe.BaseFirst {
				gone = append(gone, "b")
			}
			equalTensors(t, got, want.without(gone...))
			plan = p.plan(t, over(p, "missing=drop"), "", Options{})
			plan.Close()
			if notes := strings.Join(plan.Notes, "\n"); !strings.Contains(notes, `tensor "c": not there; left out of the output (missing: drop)`) || strings.Contains(notes, "left out, since") {
				t.Errorf("notes %s", notes)
			}
		})
	}
}

func equalTensors(t *testing.T, got, want checkpoint) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d tensors, want %d", len(got), len(want))
	}
	for _, x := range want {
		if y := got.find(x.Name); y == nil {
			t.Errorf("%s is not there", x.Name)
		} else if y.DType != x.DType || string(y.data) != string(x.data) {
			t.Errorf("%s is not what it should be", x.Name)
		}
	}
}

// A model that lacks a tensor has no importance for it either, and needs none.
func TestMissingWithoutImportance(t *testing.T) {
	f := newFamily(2, small()...)
	f.models[1], f.importance[1] = f.models[1].without("b"), f.importance[1].without("b")
	alone := newFamily(2, small()...)
	for i, x := range alone.base { // what the second model brings is nothing
		if x.Name == "b" {
			alone.models[1][i] = tensor{x.Tensor, x.data}
		}
	}
	for _, q := range []request{ask("sta", "scope=tensor"), ask("sta", "scope=tensor", "missing_importance=keep", "combine=mean")} {
		p, whole := f.save(t), alone.save(t)
		p.must(t, q.with("missing=base"), p.out("out.safetensors"), Options{})
		whole.must(t, q, whole.out("out.safetensors"), Options{})
		got, _ := load(t, read(t, p.out("out.safetensors")))
		want, _ := load(t, read(t, whole.out("out.safetensors")))
		equalTensors(t, got, want)
	}

	// The first model alone is informed of b; the other takes no part in it.
	p := f.save(t)
	plan, err := planText("merge_method: fisher\nbase_model: "+p.base+"\nparameters: {missing: base}\nmodels:\n- {model: "+p.models[0]+", parameters: {importance: "+p.importance[0]+"}}\n- {model: "+p.models[1]+", parameters: {importance: "+p.importance[1]+"}}", p.out("fisher.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer plan.Close()
	if _, err := plan.Merge(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, _ := load(t, read(t, p.out("fisher.safetensors")))
	if want := f.models[0].find("b"); string(got.find("b").data) != string(want.data) {
		t.Error("fisher takes a part of b from a model that knows nothing of it")
	}
}

// Tensors that weld does not compute with are copied from the base in any case; drop leaves them out, too.
func TestMissingInteger(t *testing.T) {
	f := newFamily(1, small()...)
	f.models[0] = f.models[0].without("ids")
	p := f.save(t)
	for policy, want := range map[string]bool{"error": true, "base": true, "drop": false} {
		out := p.out(policy + ".safetensors")
		p.must(t, ask("task_arithmetic", "missing="+policy), out, Options{})
		if got, _ := load(t, read(t, out)); (got.find("ids") != nil) != want {
			t.Errorf("missing %s: ids are there: %v", policy, !want)
		}
	}
}

// In slices and modules the source whose names the output takes stands in for the others.
func TestMissingInSlicesAndModules(t *testing.T) {
	t.Chdir(t.TempDir())
	const first, second = "model.layers.0.up.weight", "model.layers.0.bias"
	other := floats("other.weight", format.F32, []float64{1}, 1)
	checkpoint{floats(first, format.F32, []float64{1, 2}, 2), floats(second, format.F32, []float64{3, 5}, 2), other}.save(t, "a/model.safetensors")
	checkpoint{floats(first, format.F32, []float64{3, 4}, 2), other}.save(t, "b/model.safetensors")
	for name, form := range map[string]string{
		"slices":  "slices:\n- sources: [{model: a, layer_range: [0, 1]}, {model: b, layer_range: [0, 1]}]",
		"modules": "modules:\n  model.layers: {models: [{model: a}, {model: b}]}\n  default: {models: [{model: a}]}",
		"models":  "models: [{model: a}, {model: b}]",
	} {
		for policy, want := range map[string][]float64{"base": {3, 5}, "drop": nil} {
			plan, err := planText("merge_method: linear\nparameters: {weight: 0.5, normalize: false, missing: "+policy+"}\n"+form, filepath.Join(t.TempDir(), "out.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := plan.Merge(t.Context()); err != nil {
				t.Fatal(err)
			}
			plan.Close()
			got, _ := load(t, read(t, plan.Output.Path))
			x := got.find(second)
			switch {
			case want == nil && x != nil:
				t.Errorf("%s, %s: it is there", name, policy)
			case want != nil && (x == nil || x.values()[0] != want[0] || x.values()[1] != want[1]):
				t.Errorf("%s, %s: %v, want %v", name, policy, x, want)
			}
			if v := got.find(first).values(); v[0] != 2 || v[1] != 3 {
				t.Errorf("%s, %s: the other tensor is %v", name, policy, v)
			}
		}
	}
}

// The key may stand at the top of a recipe, too, but once.
func TestMissingAtTheTop(t *testing.T) {
	const recipe = "merge_method: linear\nmodels: [{model: a}, {model: b}]\nmissing: drop\n"
	r, err := Schema().Parse("recipe.yml", []byte(recipe))
	if err != nil || r.Params.Text("missing") != "drop" || len(r.Unused) > 0 {
		t.Errorf("%v, notes %q", err, r.Unused)
	}
	if _, err := Schema().Parse("recipe.yml", []byte(recipe+"parameters: {missing: base}\n")); err == nil || !strings.Contains(err.Error(), `3: "missing" is given twice`) {
		t.Errorf("given twice: %v", err)
	}
	if _, err := Schema().Parse("recipe.yml", []byte(strings.Replace(recipe, "drop", "none", 1))); err == nil || !strings.Contains(err.Error(), `missing: "none" is not one of`) {
		t.Errorf("%v", err)
	}
}
