package fuzz_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"weld/stream"
	"weld/stream/recipe"
)

const recipesDir = "testdata/malformed/recipe"

// complaint is what must be said about a recipe: a line of expected.txt.
type complaint struct {
	line     int // 0 where no line is to blame
	fragment string
}

// complaints reads expected.txt: file, line, and a part of the message, which may
// hold spaces. What begins with # is a comment.
func complaints(t *testing.T) map[string][]complaint {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(recipesDir, "expected.txt"))
	if err != nil {
		t.Fatal(err)
	}
	expected := make(map[string][]complaint)
	for row := range strings.Lines(string(text)) {
		row = strings.TrimSpace(row)
		if row == "" || row[0] == '#' {
			continue
		}
		file, rest, _ := strings.Cut(row, " ")
		number, fragment, _ := strings.Cut(strings.TrimSpace(rest), " ")
		line, err := strconv.Atoi(number)
		if err != nil || fragment == "" {
			t.Fatalf("expected.txt: %q", row)
		}
		expected[file] = append(expected[file], complaint{line, strings.TrimSpace(fragment)})
	}
	return expected
}

// Every wrong recipe gets exactly the problems that expected.txt lists, with their
// lines, in the order of the lines.
func TestMalformedRecipes(t *testing.T) {
	expected := complaints(t)
	files, err := filepath.Glob(filepath.Join(recipesDir, "*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recipes: %v", err)
	}
	for _, path := range files {
		name := filepath.Base(path)
		t.Run(strings.TrimSuffix(name, ".yml"), func(t *testing.T) {
			want := expected[name]
			delete(expected, name)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			r, err := stream.Schema().Parse(name, data)
			var got recipe.Problems
			if r != nil || !errors.As(err, &got) {
				t.Fatalf("the recipe is accepted, or its error is none of recipes: %v, %v", r, err)
			}
			if len(got) != len(want) {
				t.Fatalf("%d problems where %d are expected:\n%v", len(got), len(want), err)
			}
			for i, p := range got {
				if p.Line != want[i].line || !strings.Contains(p.Text, want[i].fragment) {
					t.Errorf("got line %d, %s\nwant line %d, %s", p.Line, p.Text, want[i].line, want[i].fragment)
				}
				if !strings.HasPrefix(p.String(), name+":") || strings.Contains(p.String(), "\n") {
					t.Errorf("the message is not one line that begins with the file: %q", p.String())
				}
			}
		})
	}
	for _, name := range slices.Sorted(maps.Keys(expected)) {
		t.Errorf("expected.txt: there is no file %s", name)
	}
}

// sound are recipes that are right, for the fuzzer to spoil.
var sound = []string{
	"merge_method: linear\nmodels:\n  - model: a\n  - model: b\n",
	"merge_method: passthrough\nmodels: [{model: a, parameters: {scale: -0x1p-3}}]\nout_dtype: torch.bfloat16\n",
	"merge_method: sta\nbase_model: base\nmodels:\n  - {model: a, parameters: {importance: ga, threshold: 1e-3}}\n",
	"merge_method: sta\nbase_model: \"b\\r\\n\\u2028: #\\e\"\nmodels:\n  - model: &a |+\n      a\n\n    parameters: {importance: *a}\nparameters:\n  preset: weighted\n  density: 1\ndtype: F32\n",
	"%YAML 1.1\n---\nmerge_method: !!str task_arithmetic\nbase_model: ' 1 '\nmodels:\n  - model: ~a\n    parameters: {weight: -.5}\nparameters: {normalize: TRUE, lambda: +1.e1}\n...\n",
	"merge_method: linear\nbase_model: ~\nmodels:\n  - model: a+l@r\n    parameters:\n      weight: [0, 0.5, 1]\n  - model: {model: {path: c++, revision: r}, lora: [l, m]}\n    parameters:\ndtype: null\n",
	"merge_method: task_arithmetic\nbase_model: b\nslices:\n  - sources:\n      - {model: b, layer_range: [0, 2]}\n      - model: a\n        layer_range: [1, 3]\n        parameters: {weight: [{filter: mlp, value: [0, 1]}, {value: 2}]}\n    parameters: {lambda: {filter: q, value: 3}}\n  - base_model: c\n    sources: [{model: c, layer_range: [0, 1]}, {model: b, layer_range: [2, 3]}]\nparameters: {lambda: [1, 2]}\n",
	"merge_method: passthrough\nmodules:\n  default:\n    slices:\n      - sources: [{model: a, layer_range: ['0', 4.0]}]\n      - sources: [{model: a, layer_range: [2, 6], parameters: &p {scale: [{filter: o_proj, value: 0}, {value: 1}]}}]\n      - sources: [{model: c, layer_range: [2, 6], parameters: {<<: *p}}]\n    parameters: {scale: 2}\n",
	"merge_method: linear\nmodels: [{model: a}, {model: c+l}]\nchat_template: chatml.jinja\ntokenizer:\n  source: base\n  pad_to_multiple_of: 64\n  tokens:\n    <|a|>: {source: a, force: true}\n    '<<': {source: {kind: zero}}\n    3: {source: {kind: model_token, model: c+l, token_id: 7}}\n    c: {source: {kind: model_token, model: {model: a}, token: \"\\n\"}}\n",
}

func TestSoundRecipes(t *testing.T) {
	for i, text := range sound {
		if _, err := stream.Schema().Parse("sound.yml", []byte(text)); err != nil {
			t.Errorf("sound[%d]: %v", i, err)
		}
	}
}

// FuzzRecipe parses anything. What is no recipe gets problems; what is one prints as
// a recipe that means the same.
func FuzzRecipe(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(recipesDir, "*.yml"))
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, text := range sound {
		f.Add([]byte(text))
	}
	schema := stream.Schema()
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := schema.Parse("in.yml", data)
		if err != nil {
			var problems recipe.Problems
			if !errors.As(err, &problems) || len(problems) == 0 || r != nil {
				t.Fatalf("not an error of recipes: %v, %v", r, err)
			}
			return
		}
		text := r.YAML()
		again, err := schema.Parse("out.yml", text)
		if err != nil {
			t.Fatalf("the recipe does not parse back: %v\n%s", err, text)
		}
		if !meansTheSame(r, again) {
			t.Errorf("the recipe parses back as another:\n%s\n%s", text, again.YAML())
		}
	})
}

// meansTheSame compares recipes without the places where things were written: by their
// values, and in print, where gradients and filters are. A preset is spelled out when a
// recipe is printed.
func meansTheSame(a, b *recipe.Recipe) bool {
	same := func(a, b recipe.Values) bool {
		a, b = unplaced(a), unplaced(b)
		return maps.Equal(a, b)
	}
	return a.Method == b.Method && a.Base == b.Base && a.DType == b.DType && same(a.Params, b.Params) &&
		a.OutDType == b.OutDType && a.ChatTemplate == b.ChatTemplate && string(a.YAML()) == string(b.YAML()) &&
		slices.EqualFunc(a.Models, b.Models, func(a, b recipe.Model) bool {
			return a.Path == b.Path && slices.Equal(a.Lora, b.Lora) && same(a.Params, b.Params)
		})
}

func unplaced(values recipe.Values) recipe.Values {
	bare := make(recipe.Values)
	for key, v := range values {
		if key == recipe.PresetKey {
			continue
		}
		v.Where, v.Origin = recipe.Position{}, ""
		bare[key] = v
	}
	return bare
}
