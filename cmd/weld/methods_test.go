package main

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weld/format"
	"weld/format/open"
	"weld/stream"
	"weld/stream/recipe"
)

// TestExamplesRun merges by the example of each method, once as a recipe and once as flags, and demands the same bytes.
// A key that has been left out, or stands in the wrong place, fails it.
func TestExamplesRun(t *testing.T) {
	t.Chdir(t.TempDir())
	for i, name := range append([]string{exampleBase}, exampleModels...) {
		writeModel(t, filepath.Join(name, "model.safetensors"), i)
		if name != exampleBase {
			writeModel(t, name+"-grad.safetensors", 10+i)
		}
	}
	for _, m := range stream.Schema() {
		t.Run(m.Name, func(t *testing.T) {
			e := exampleOf(&m, takesImportance(&m))
			if err := os.WriteFile("recipe.yml", []byte(e.yaml()), 0o666); err != nil {
				t.Fatal(err)
			}
			byRecipe, byFlags := m.Name+"-recipe.safetensors", m.Name+"-flags.safetensors"
			weld(t, "merge", "recipe.yml", byRecipe)
			line := strings.ReplaceAll(e.command("merge", byFlags), "\\\n", " ")
			weld(t, strings.Fields(line)[1:]...)
			weld(t, strings.Fields(strings.ReplaceAll(e.command("plan", m.Name+"-planned"), "\\\n", " "))[1:]...)
			if !bytes.Equal(tensors(t, byRecipe), tensors(t, byFlags)) {
				t.Errorf("the recipe and the flags merge to different tensors:\n%s\n%s", e.yaml(), line)
			}
		})
	}
}

// TestExamplesShow demands that an example has all that is required, and every number that has a default.
func TestExamplesShow(t *testing.T) {
	for _, m := range stream.Schema() {
		text := exampleOf(&m, takesImportance(&m)).yaml()
		for _, p := range m.Params {
			if (p.Required || p.Kind == recipe.Number && p.Default != "") && !strings.Contains(text, p.Key+": ") {
				t.Errorf("%s: the example lacks %s:\n%s", m.Name, p.Key, text)
			}
		}
	}
}

// TestImportanceOfMethods tells those that need importance files from those that may do without. The examples of both have them.
func TestImportanceOfMethods(t *testing.T) {
	want := map[string]string{"sta": "optional", "ota": "required", "perta": "required", "fisher": "required", "fisher_arithmetic": "required"}
	for _, m := range stream.Schema() {
		d, importance := detail(&m), want[m.Name]
		if importance == "" {
			importance = "none"
		}
		shown := strings.Count(d.Example, recipe.ImportanceKey+": ")
		if d.Importance != importance || shown != strings.Count(weld(t, "methods", m.Name), " --importance ") || (shown > 0) != (importance != "none") {
			t.Errorf("%s: importance is %s, want %s, and the example has %d files:\n%s", m.Name, d.Importance, importance, shown, d.Example)
		}
	}
}

// TestMethodsAreDescribed demands of every method what weld methods has a place for.
func TestMethodsAreDescribed(t *testing.T) {
	for _, m := range stream.Schema() {
		if m.Summary == "" || m.Formula == "" || m.Source == "" && m.Name != "passthrough" { // which nobody had to invent
			t.Errorf("%s: summary %q, source %q, formula %q", m.Name, m.Summary, m.Source, m.Formula)
		}
	}
}

// TestHelpOfMethods holds the help of every method to its schema: it lists each of its keys with its default and text, and
// no other key.
func TestHelpOfMethods(t *testing.T) {
	for _, m := range stream.Schema() {
		for _, command := range []string{"merge", "plan", "score"} {
			help := weld(t, command, "--method", m.Name, "--help")
			for _, p := range m.Params {
				if line := flagLine(help, p.Key); !strings.Contains(line, p.Help) || p.Default != "" && !strings.HasSuffix(line, "(default: "+p.Defaults()+")") {
					t.Errorf("%s: %s says of %s: %q", m.Name, command, p.Key, line)
				}
			}
			for _, k := range allKeys() {
				if line := flagLine(help, k.Key); line != "" && !slices.Contains(k.methods, m.Name) {
					t.Errorf("%s: %s lists %q, which the method does not have", m.Name, command, line)
				}
			}
		}
	}
}

// flagLine is the line of a help text that begins with the flag of a key.
func flagLine(help, key string) string {
	name := "--" + flagName(key)
	if len(key) == 1 {
		name = name[1:]
	}
	for line := range strings.Lines(help) {
		if word, _, _ := strings.Cut(strings.TrimSpace(line), " "); word == name {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// weld runs a command line that must succeed, and returns what it printed.
func weld(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := execute(context.Background(), append([]string{"weld"}, args...), &stdout, &stderr); code != exitDone {
		t.Fatalf("weld %s: exit status %d: %s", strings.Join(args, " "), code, &stderr)
	}
	return stdout.String()
}

// writeModel writes a checkpoint of one matrix of positive numbers, which the seed chooses.
func writeModel(t *testing.T, path string, seed int) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	const rows, columns = 8, 16
	data := make([]byte, 0, 4*rows*columns)
	for i := range rows * columns {
		bits := math.Float32bits(float32(1.5 + math.Sin(float64(i*(seed+1)+seed))))
		data = append(data, byte(bits), byte(bits>>8), byte(bits>>16), byte(bits>>24))
	}
	list := []format.Tensor{{Name: "w", DType: format.F32, Shape: []int64{rows, columns}}}
	if err := writeCheckpoint(path, list, nil, 1<<62, func(int) []byte { return data }); err != nil {
		t.Fatal(err)
	}
}

// tensors are the bytes of the only tensor of a checkpoint: its header differs, since it has the recipe in it.
func tensors(t *testing.T, path string) []byte {
	t.Helper()
	ck, err := open.Checkpoint(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	view, err := ck.View(0, 0, ck.Tensors()[0].Bytes())
	if err != nil {
		t.Fatal(err)
	}
	defer view.Release()
	return bytes.Clone(view.Data)
}
