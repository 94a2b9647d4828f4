package recipe_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"weld/stream/recipe"
)

func TestGradients(t *testing.T) {
	for _, test := range []struct {
		list string
		t    float64
		want float64
	}{
		{"[0, 1]", 0, 0}, {"[0, 1]", 1, 1}, {"[0, 1]", 0.25, 0.25},
		{"[0, 0.5, 0.3, 0.7, 1]", 0.25, 0.5}, {"[0, 0.5, 0.3, 0.7, 1]", 0.375, 0.4}, {"[0, 0.5, 0.3, 0.7, 1]", 1, 1},
		{"[1, 0]", 0.75, 0.25}, {"[2]", 0.5, 2}, {"[3, 3, 3]", 0.3, 3},
		{`["1e-1", .3]`, 0.5, 0.2}, {"[0, 1]", -1, 0}, {"[0, 1]", 2, 1}, {"[0, 1]", math.NaN(), 0},
	} {
		r := understood(t, "merge_method: linear\nmodels: [{model: a}]\nparameters: {weight: "+test.list+"}\n")
		_, models := r.At(recipe.TensorRef{T: test.t})
		if got := models[0].Number("weight"); math.Abs(got-test.want) > 1e-15 {
			t.Errorf("%s at %v: %v, want %v", test.list, test.t, got, test.want)
		}
	}
}

// Rounding leads nowhere beyond the values on both sides: between two equal ones there is nothing but these. Without
// the clamp, 0.1 becomes 0.10000000000000002 in the second of 24 layers.
func TestGradientsStayBetweenTheirEnds(t *testing.T) {
	for hundredths := range 100 {
		end := float64(hundredths) / 100
		r := understood(t, fmt.Sprintf("merge_method: linear\nmodels: [{model: a}]\nparameters: {weight: [%v, %v, 1]}\n", end, end))
		for layers := 2; layers < 70; layers++ {
			for layer := range layers {
				at := float64(layer) / float64(layers-1)
				_, models := r.At(recipe.TensorRef{T: at})
				if got := models[0].Number("weight"); got < end || got > 1 || at <= 0.5 && got != end {
					t.Fatalf("[%v, %v, 1] in layer %d of %d: %v", end, end, layer, layers, got)
				}
			}
		}
	}
}

// What is no number changes in steps; the last value is reached in the last layer.
func TestSteps(t *testing.T) {
	r := understood(t, "merge_method: linear\nmodels: [{model: a}]\nparameters: {mode: [a, b], normalize: [true, false, true]}\n")
	for _, test := range []struct {
		t         float64
		mode      string
		normalize bool
	}{{0, "a", true}, {0.49, "a", true}, {0.5, "a", false}, {0.99, "a", false}, {1, "b", true}} {
		shared, _ := r.At(recipe.TensorRef{T: test.t})
		if shared.Text("mode") != test.mode || shared.Bool("normalize") != test.normalize {
			t.Errorf("at %v: %s, %v", test.t, shared.Text("mode"), shared.Bool("normalize"))
		}
	}
	readsBack(t, r)
}

func TestFilters(t *testing.T) {
	r := understood(t, `
merge_method: ties
base_model: b
models:
  - model: a
    parameters:
      density: {filter: mlp, value: 0.5}
      weight:
        - filter: layers.1.
          value: 2
        - filter: layers
          value: [3, 5]
        - filter: "*"
          value: 7
        - value: 9
parameters:
  lambda:
    - {filter: MLP, value: 0.1}
    - {filter: layers.1., value: 0.2}
`)
	for _, test := range []struct {
		output, input           string
		lambda, weight, density float64
	}{
		{"layers.1.mlp", "layers.0.mlp", 0.2, 4, 0.5},
		{"layers.0.mlp", "layers.1.mlp", 1, 2, 0.5},
		{"layers.0.attn", "layers.11.attn", 1, 4, 1},
		{"embed", "embed", 1, 7, 1},
		{"", "", 1, 7, 1},
	} {
		shared, models := r.At(recipe.TensorRef{Output: test.output, Inputs: []string{test.input}, T: 0.5})
		if shared.Number("lambda") != test.lambda || models[0].Number("weight") != test.weight || models[0].Number("density") != test.density {
			t.Errorf("%s from %s: %v, %v", test.output, test.input, texts(shared), texts(models[0]))
		}
	}
	if w := r.Models[0].Params["weight"]; !w.Varies || w.Number != 7 || !r.Params["lambda"].Varies || r.Params["rescale"].Varies || !r.Varies() {
		t.Errorf("%+v %+v", r.Models[0].Params, r.Params)
	}
	readsBack(t, r)
}

// A required key has to be there; for which tensors filters leave it out is known when there are tensors.
func TestRequired(t *testing.T) {
	const head = "merge_method: slerp\nbase_model: b\nmodels:\n  - model: a\n"
	refused(t, head, "1: slerp needs t: a number")
	understood(t, head+"parameters:\n  t: {filter: mlp, value: 1}\n")
	understood(t, head+"parameters:\n  t: [{filter: mlp, value: 1}, {value: 2}]\n")
	refused(t, "merge_method: slerp\nbase_model: b\nslices:\n"+
		"  - sources: [{model: b, layer_range: [0, 1]}, {model: a, layer_range: [0, 1]}]\n    parameters: {t: 1}\n"+
		"  - sources: [{model: b, layer_range: [0, 1]}, {model: a, layer_range: [0, 1]}]\n", "6: slerp needs t: a number")
}

func TestWholeNumbers(t *testing.T) {
	const head = "merge_method: karcher\nmodels: [{model: a}]\nparameters:\n  max_iter: "
	for text, want := range map[string]float64{"7": 7, "7.0": 7, "'12'": 12, "[3, 3.0]": 3, "{filter: a, value: 3}": 10} {
		if got := understood(t, head+text+"\n").Params.Number("max_iter"); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	refused(t, head+"2.5\n", `4: max_iter: "2.5" is not a whole number from 1 to 1e+06`)
	refused(t, head+"0\n", `4: max_iter: "0" is not a whole number from 1 to 1e+06`)
	refused(t, head+"[2, 4]\n", "4: max_iter is a whole number and cannot run through a gradient: give one value")
}

// A model has thousands of tensors, and few that differ in their parameters.
func TestValuesAreShared(t *testing.T) {
	r := understood(t, "merge_method: linear\nmodels: [{model: a, parameters: {weight: [{filter: mlp, value: 2}, {value: 3}]}}]\nparameters: {normalize: [true, false]}\n")
	at := func(name string, t float64) (recipe.Values, recipe.Values) {
		shared, models := r.At(recipe.TensorRef{Output: name, Inputs: []string{name}, T: t})
		return shared, models[0]
	}
	s1, m1 := at("layers.1.mlp.a", 0.5)
	s2, m2 := at("layers.2.mlp.b", 0.5)
	s3, m3 := at("layers.2.mlp.b", 0.75)
	_, m4 := at("layers.2.attn", 0.75)
	if !one(s1, s2) || !one(m1, m2) || !one(m1, m3) || one(s1, s3) || one(m1, m4) {
		t.Error("maps are not shared as they could be")
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 1000 {
				at(fmt.Sprint("layers.", i), float64(i)/999)
			}
		})
	}
	all.Wait()
}

// said is what a random recipe says of a key in one scope: filters with gradients. nil
// says nothing.
type said []struct {
	filter string // "-" for none
	list   []float64
}

// value is the evaluator of the test, written after mergekit's documentation and apart
// from the package: scope after scope, the first filter that matches.
func value(scopes []said, name string, t float64) (float64, bool) {
	for _, s := range scopes {
		for _, c := range s {
			if c.filter == "-" || c.filter == "*" || strings.Contains(name, c.filter) {
				scaled := t * float64(len(c.list)-1)
				low := math.Floor(scaled)
				high := math.Min(low+1, float64(len(c.list)-1))
				return c.list[int(low)] + (scaled-low)*(c.list[int(high)]-c.list[int(low)]), true
			}
		}
	}
	return 0, false
}

func randomSaid(r *rand.Rand) said {
	if r.IntN(2) == 0 {
		return nil
	}
	filters := []string{"mlp", "self_attn", "layers.1.", "layers.", "q_proj", "*", "-", "up", "nowhere"}
	s := make(said, 1+r.IntN(3))
	for i := range s {
		s[i].filter = filters[r.IntN(len(filters))]
		for range 1 + r.IntN(4) {
			s[i].list = append(s[i].list, float64(r.IntN(100))/4)
		}
	}
	return s
}

func (s said) yaml() string {
	var items []string
	for _, c := range s {
		list := strings.ReplaceAll(fmt.Sprint(c.list), " ", ", ")
		if len(c.list) == 1 {
			list = fmt.Sprint(c.list[0])
		}
		if c.filter == "-" {
			items = append(items, "{value: "+list+"}")
		} else {
			items = append(items, fmt.Sprintf("{filter: %q, value: %s}", c.filter, list))
		}
	}
	return "[" + strings.Join(items, ", ") + "]"
}

// parameters writes what is said of keys, if anything.
func parameters(keys map[string]said) string {
	var all []string
	for _, key := range []string{"weight", "lambda"} {
		if s := keys[key]; s != nil {
			all = append(all, key+": "+s.yaml())
		}
	}
	return "parameters: {" + strings.Join(all, ", ") + "}"
}

// Random recipes with every scope, against the evaluator above.
func TestPrecedence(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	names := []string{"model.layers.1.mlp.up_proj", "model.layers.11.self_attn.q_proj", "model.layers.0.mlp.down", "embed", "lm_head.q_proj"}
	ofDefault := said{{"-", []float64{1}}}
	for range 500 {
		global, module := randomSaid(r), randomSaid(r)
		globalLambda, moduleLambda := randomSaid(r), randomSaid(r)
		n := 1 + r.IntN(3)
		var text strings.Builder
		text.WriteString("merge_method: ties\nbase_model: b\nmodules:\n  m:\n    " + parameters(map[string]said{"weight": module, "lambda": moduleLambda}) + "\n    slices:\n")
		slice, sliceLambda := make([]said, n), make([]said, n)
		sources := make([][2]said, n)
		for i := range n {
			slice[i], sliceLambda[i] = randomSaid(r), randomSaid(r)
			text.WriteString("      - " + parameters(map[string]said{"weight": slice[i], "lambda": sliceLambda[i]}) + "\n        sources:\n          - {model: b, layer_range: [0, 2]}\n")
			for k := range 2 {
				sources[i][k] = randomSaid(r)
				fmt.Fprintf(&text, "          - {model: m%d, layer_range: [0, 2], %s}\n", k, parameters(map[string]said{"weight": sources[i][k]}))
			}
		}
		text.WriteString(parameters(map[string]said{"weight": global, "lambda": globalLambda}) + "\n")
		rec := understood(t, text.String())
		readsBack(t, rec)
		for range 30 {
			i, at := r.IntN(n), r.Float64()
			pick := func() string { return names[r.IntN(len(names))] }
			ref := recipe.TensorRef{Slice: i, Output: pick(), Inputs: []string{pick(), pick(), pick()}, T: at}
			shared, models := rec.At(ref)
			check := func(what string, got float64, name string, scopes ...said) {
				if want, ok := value(scopes, name, at); !ok || math.Abs(got-want) > 1e-12 {
					t.Fatalf("%s of %+v: %v, want %v\n%s", what, ref, got, want, text.String())
				}
			}
			check("lambda", shared.Number("lambda"), ref.Output, sliceLambda[i], moduleLambda, globalLambda, ofDefault)
			for k := range 2 {
				check("weight", models[k+1].Number("weight"), ref.Inputs[k+1], sources[i][k], slice[i], module, global, ofDefault)
			}
			for _, values := range append(models, shared) {
				for key, v := range values {
					if v.Varies {
						t.Fatalf("%s of a tensor still varies", key)
					}
				}
			}
		}
	}
}

// A module's parameters go before the global ones, and behind those of its slices and models.
func TestModules(t *testing.T) {
	r := understood(t, `
merge_method: linear
modules:
  text_decoder:
    slices:
      - sources:
          - {model: a, layer_range: [0, 2]}
          - {model: b, layer_range: [0, 2], parameters: {weight: 7}}
        parameters: {normalize: false}
      - sources: [{model: a, layer_range: [2, 4]}]
    parameters: {weight: 3, normalize: true}
  vision_tower:
    models: [{model: b, parameters: {weight: 5}}, {model: a}]
parameters: {weight: 2, normalize: false}
`)
	want := []recipe.Module{{Name: "text_decoder", First: 0, Last: 2}, {Name: "vision_tower", First: 2, Last: 3}}
	for i, m := range r.Modules {
		if m.Name != want[i].Name || m.First != want[i].First || m.Last != want[i].Last || r.Slices[m.First].Whole != (i == 1) {
			t.Errorf("module %d is %+v", i, m)
		}
	}
	for slice, want := range []struct {
		normalize bool
		weights   []float64
	}{{false, []float64{3, 7}}, {true, []float64{3}}, {false, []float64{5, 2}}} {
		shared, models := r.At(recipe.TensorRef{Slice: slice})
		if shared.Bool("normalize") != want.normalize || len(models) != len(want.weights) {
			t.Fatalf("slice %d: normalize %v, %d models", slice, shared.Bool("normalize"), len(models))
		}
		for k, weight := range want.weights {
			if got := models[k].Number("weight"); got != weight {
				t.Errorf("slice %d, model %d: weight %v, want %v", slice, k, got, weight)
			}
		}
	}
	readsBack(t, r)
}
