package stream

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weld/format"
	"weld/format/open"
	"weld/stream/recipe"
)

// TestImportanceFromTraining merges by what an optimizer left, and by a file of the same numbers: the outputs are the same bytes. The
// goldens of format/moments are a training's checkpoint, and what its optimizer has in memory.
func TestImportanceFromTraining(t *testing.T) {
	goldens, err := filepath.Abs("../format/moments/testdata")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	model := filepath.Join(goldens, "llama")
	base := filepath.Join(dir, "base.safetensors")
	// The base is the model at half its size, so that the task vector is the other half.
	half := recipe.Setting{Key: "weight", Text: "0.5"}
	run := func(d *recipe.Draft, out string) []byte {
		t.Helper()
		r, err := Schema().Resolve(d)
		if err != nil {
			t.Fatal(err)
		}
		p, err := Prepare(r, out, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if _, err := p.Merge(context.Background()); err != nil {
			t.Fatal(err)
		}
		c := openCheckpoint(t, out)
		var all []byte
		for i, x := range c.Tensors() {
			view, err := c.View(i, 0, x.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, view.Data...)
			view.Release()
		}
		return all
	}
	setting := func(text string) recipe.Setting { return recipe.Setting{Text: text} }
	run(&recipe.Draft{Method: setting("linear"), Params: []recipe.Setting{{Key: "normalize", Text: "false"}}, Models: []recipe.DraftModel{{Path: setting(model), Params: []recipe.Setting{half}}}}, base)
	by := func(importance, statistic, out string) []byte {
		params := []recipe.Setting{{Key: "importance", Text: importance}}
		if statistic != "" {
			params = append(params, recipe.Setting{Key: "statistic", Text: statistic})
		}
		return run(&recipe.Draft{Method: setting("sta"), Base: setting(base), Params: []recipe.Setting{{Key: "density", Text: "0.3"}}, Models: []recipe.DraftModel{{Path: setting(model), Params: params}}}, filepath.Join(dir, out))
	}
	want := by(filepath.Join(goldens, "llama.want.safetensors"), "adam_second_moment", "want.safetensors")
	for name, path := range map[string]string{"directory.safetensors": model, "file.safetensors": filepath.Join(model, "optimizer.pt")} {
		if got := by(path, "", name); !bytes.Equal(got, want) {
			t.Errorf("%s: other bytes than by the numbers that the optimizer has in memory", name)
		}
	}
	if plain, err := os.ReadFile(base); err != nil || bytes.Contains(plain, want) {
		t.Errorf("nothing of the model was kept, %v", err)
	}
}

func openCheckpoint(t *testing.T, path string) format.Checkpoint {
	t.Helper()
	c, err := open.Checkpoint(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Parameters that were frozen have no second moment, and the error says so.
func TestFrozenParameters(t *testing.T) {
	states, err := filepath.Abs("../format/moments/testdata/muon.pt")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	for _, name := range []string{"base", "model"} {
		checkpoint{floats("a", format.F32, make([]float64, 4), 4), floats("b", format.F32, make([]float64, 4), 4)}.save(t, name+".safetensors")
	}
	_, err = planText("merge_method: sta\nbase_model: base.safetensors\nmodels:\n  - {model: model.safetensors, parameters: {importance: "+states+"}}\n", "")
	if err == nil || !strings.Contains(err.Error(), `tensor "a": importance lacks the tensor: the optimizer has no second moment of it, as of parameters that were frozen (set missing_importance`) {
		t.Errorf("%v", err)
	}
}
