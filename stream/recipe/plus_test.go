package recipe_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"weld/stream/recipe"
)

// TestPlusInPaths reads names of models with a + beside the paths that are there.
func TestPlusInPaths(t *testing.T) {
	for _, c := range []struct {
		text  string
		there string
		path  string
		lora  []string
		note  bool // that something else could be meant
	}{
		{"a+b", "", "a", []string{"b"}, false},
		{"a+b", "a b", "a", []string{"b"}, false},
		{"a+b", "a+b", "a+b", nil, false},
		{"a+b", "a+b a", "a+b", nil, false},
		{"a+b", "a+b a b", "a+b", nil, true},
		{"c++", "c++", "c++", nil, false},
		{"a+b+c", "a+b", "a+b", []string{"c"}, false},
		{"a+b+c", "b+c", "a", []string{"b+c"}, false},
		{"a+b+c", "a+b a+b+c", "a+b+c", nil, false},
		{"a+b+c+d", "a+b c+d", "a+b", []string{"c+d"}, false},
		{"./x/a+b", "./x/a+b", "./x/a+b", nil, false},
	} {
		in := recipe.Parser{Schema: mergekit, Exists: func(path string) bool { return slices.Contains(strings.Fields(c.there), path) }}
		check := func(form, path string, lora []string, notes []string) {
			t.Helper()
			if path != c.path || !reflect.DeepEqual(lora, c.lora) || (len(notes) > 0) != c.note {
				t.Errorf("%s %s where %s is there: %q %q, notes %q", form, c.text, c.there, path, lora, notes)
			}
		}
		r, err := in.Parse("r.yml", []byte("merge_method: ties\nbase_model: "+c.text+"\nmodels: [{model: other}]\n"))
		if err != nil {
			t.Fatal(err)
		}
		check("base", r.Base, r.BaseLora, r.Unused)
		r, err = in.Parse("r.yml", []byte("merge_method: passthrough\nslices: [{sources: [{model: "+c.text+", layer_range: [0, 1]}]}]\n"))
		if err != nil {
			t.Fatal(err)
		}
		check("slice", r.Models[0].Path, r.Models[0].Lora, r.Unused)
		r, err = in.Resolve(&recipe.Draft{
			Method: recipe.Setting{Text: "linear"},
			Models: []recipe.DraftModel{{Path: recipe.Setting{Text: c.text, Where: recipe.Position{Flag: "--model"}}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		check("--model", r.Models[0].Path, r.Models[0].Lora, r.Unused)
		again, err := mergekit.Parse("again.yml", r.YAML())
		if err != nil || again.Models[0].Path != c.path || !reflect.DeepEqual(again.Models[0].Lora, c.lora) {
			t.Errorf("%s, read again where nothing is there: %+v, %v", c.text, again.Models, err)
		}
	}
	in := recipe.Parser{Schema: mergekit, Exists: func(path string) bool { return path == "c++" }}
	if _, err := in.Parse("r.yml", []byte("merge_method: linear\nmodels: [{model: d++}]\n")); err == nil {
		t.Error("d++ names no adapter, and is no path that is there")
	}
}
