package lora_test

import (
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"weld/format"
	"weld/format/model"
)

// decoded has a tensor's values.
func decoded(t *testing.T, c format.Checkpoint, i int) []float64 {
	t.Helper()
	tensor := c.Tensors()[i]
	view, err := c.View(i, 0, tensor.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	defer view.Release()
	values := make([]float64, tensor.Elements())
	format.Decode(tensor.DType, values, view.Data)
	return values
}

// opened opens a model as commands name it.
func opened(t *testing.T, name string) format.Checkpoint {
	t.Helper()
	c, err := model.Named(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

const diffusion = "testdata/diffusion"

// adapterOf is the file of a golden's adapter.
func adapterOf(t *testing.T, folder string) string {
	t.Helper()
	for _, name := range []string{"adapter.safetensors", "pytorch_lora_weights.safetensors"} {
		path := filepath.Join(diffusion, "adapters", folder, name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	t.Fatalf("%s has no adapter", folder)
	return ""
}

// Adapters of LyCORIS, in kohya-ss' names, and of diffusers are, within 1e-6 at float32, what the live modules of
// these libraries compute (.ci/interop/diffusion_lora_golden.py).
func TestDiffusionGoldens(t *testing.T) {
	entries, err := os.ReadDir(filepath.Join(diffusion, "adapters"))
	if err != nil || len(entries) < 17 {
		t.Fatal(len(entries), err)
	}
	for _, entry := range entries {
		t.Run(entry.Name(), func(t *testing.T) {
			want := opened(t, filepath.Join(diffusion, "adapters", entry.Name(), "want.safetensors"))
			base := opened(t, filepath.Join(diffusion, "base"))
			c := opened(t, filepath.Join(diffusion, "base")+"+"+adapterOf(t, entry.Name()))
			meets(t, c, base, want, func(name string) string { return name })
		})
	}
}

// meets holds every tensor of c to that of want by its name there, or to the base's.
func meets(t *testing.T, c, base, want format.Checkpoint, called func(string) string) {
	t.Helper()
	met := make(map[string]bool)
	for i, tensor := range c.Tensors() {
		from, name := want, called(tensor.Name)
		at, ok := want.Find(name)
		if met[name] = ok; !ok {
			delete(met, name)
			from, at = base, i
			if tensor.DType != base.Tensors()[i].DType {
				t.Errorf("%s is changed", tensor.Name)
			}
		}
		near(t, tensor.Name, decoded(t, c, i), decoded(t, from, at))
	}
	for _, tensor := range want.Tensors() {
		if !met[tensor.Name] {
			t.Errorf("%s is not changed, beside %v", tensor.Name, slices.Sorted(maps.Keys(met)))
		}
	}
}

func near(t *testing.T, name string, got, want []float64) {
	t.Helper()
	var diff, size float64
	for i := range want {
		diff, size = max(diff, math.Abs(got[i]-want[i])), max(size, math.Abs(want[i]))
	}
	if len(got) != len(want) || !(diff <= 1e-6*size) {
		t.Errorf("%s differs by %.2g of %.2g, %d elements of %d", name, diff, size, len(got), len(want))
	}
}
