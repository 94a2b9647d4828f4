package recipe

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Published recipes say things that have no effect in mergekit: parameters of other methods,
// misplaced parameters, and what its tools leave in the recipes that they write. They
// run as they ran there, and a note says what was passed over. A key that nobody knows may be
// a slip, and is an error; so is all of this in a recipe for a method of weld's own.

// carried are keys that published recipes carry and mergekit never reads, by what they are.
var carried = map[string]string{
	"name":                   "it names one of several recipes",
	"smooth":                 "it steers mergekit's evolutionary search",
	"allow_negative_weights": "it steers mergekit's evolutionary search",
	"layer_granularity":      "it steers mergekit's evolutionary search",
	"embed_slerp":            "mergekit's first versions had it; embeddings are merged like other tensors",
	"random_seed":            "it is an option of mergekit's command line; weld's is seed",
	"override_architecture":  "weld goes by the tensors' names, not by an architecture",
	"residual_weight":        "mergekit never reads it",
	"merge_method":           "a recipe has one method",
	"revision":               "a revision is written behind the model: NAME@REVISION",
	"layer_range":            "all layers are merged; it belongs to the sources of slices",
	"pad_to_multiple_of":     "it belongs under tokenizer",
	"dtype":                  "it belongs to the recipe, beside merge_method",
	"out_dtype":              "it belongs to the recipe, beside merge_method",
}

// passed notes one of the carried keys; carriers are those that occur where it was found.
func (r *resolver) passed(key string, where Position, carriers ...string) bool {
	if r.own || !slices.Contains(carriers, key) {
		return false
	}
	r.pass(where, "%s has no effect here: %s", key, carried[key])
	return true
}

// misplaced notes a parameter of some method that stands beside parameters instead of among
// them. A weight there is an error, as what it leaves out of parameters is in mergekit.
func (r *resolver) misplaced(key string, where Position) bool {
	if r.own || key == "weight" || !r.schema.foreign(key) {
		return false
	}
	r.pass(where, "%s has no effect here: it belongs under parameters", key)
	return true
}

// pass notes what has no effect.
func (r *resolver) pass(where Position, text string, args ...any) {
	line := Problem{Origin: r.origin, Position: where, Text: fmt.Sprintf(text, args...)}.String()
	if !slices.Contains(r.unused, line) {
		r.unused = append(r.unused, line)
	}
}

// ofOwn reports a recipe for a method that mergekit does not have.
func (s Schema) ofOwn(recipe *yaml.Node) bool {
	for i := 0; i+1 < len(recipe.Content); i += 2 {
		if recipe.Content[i].Value == "merge_method" {
			m, ok := s.Find(recipe.Content[i+1].Value)
			return ok && m.Own
		}
	}
	return false
}

// foreign reports whether a key is a parameter of some method of mergekit's.
func (s Schema) foreign(key string) bool {
	for i := range s {
		if _, known := s[i].param(key); known && !s[i].Own {
			return true
		}
	}
	return false
}
