package lora_test

import (
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weld/format"
	"weld/format/model"
	"weld/format/safetensors"
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

// otherNames are what single files call the modules of the goldens' U-Net, by diffusers' names.
func otherNames(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(diffusion, "unet_names.txt"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n\n")
	of := make(map[string]string)
	for line := range strings.Lines(first) {
		original, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		of[name] = original
	}
	return of
}

// renamed writes a checkpoint's tensors by other names to a file; "" leaves one out.
func renamed(t *testing.T, from format.Checkpoint, name func(string) string) string {
	t.Helper()
	var tensors []format.Tensor
	var of []int
	for i, tensor := range from.Tensors() {
		if tensor.Name = name(tensor.Name); tensor.Name != "" {
			tensors, of = append(tensors, tensor), append(of, i)
		}
	}
	layout, err := safetensors.NewLayout(tensors, nil, math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	data := layout.Header(0)
	for _, i := range layout.Order() {
		view, err := from.View(of[i], 0, tensors[i].Bytes())
		if err != nil {
			t.Fatal(err)
		}
		data = append(data, view.Data...)
		view.Release()
	}
	path := filepath.Join(t.TempDir(), "renamed.safetensors")
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// Adapters of a U-Net meet it in the names of single files and in those of diffusers, whichever of the two has which.
func TestDiffusionOtherNames(t *testing.T) {
	of := otherNames(t)
	folder := opened(t, filepath.Join(diffusion, "base"))
	inside := func(name string) (module, leaf string, ok bool) {
		rest, ok := strings.CutPrefix(name, "unet/")
		at := max(strings.LastIndexByte(rest, '.'), 0)
		return rest[:at], rest[at:], ok
	}
	original := func(name string) string {
		module, leaf, ok := inside(name)
		if !ok {
			return ""
		}
		if of[module] == "" {
			t.Fatalf("no other name of %s", name)
		}
		return "model.diffusion_model." + of[module] + leaf
	}
	singleFile := renamed(t, folder, original)
	base, back := opened(t, singleFile), make(map[string]string)
	for _, tensor := range folder.Tensors() {
		back[original(tensor.Name)] = tensor.Name
	}
	for _, name := range []string{"full", "tucker", "lokr", "dora-of-inputs", "header-dora", "plain", "processors"} {
		want := opened(t, filepath.Join(diffusion, "adapters", name, "want.safetensors"))
		c := opened(t, singleFile+"+"+adapterOf(t, name))
		meets(t, c, base, want, func(name string) string { return back[name] })
	}
	flat := strings.NewReplacer(".", "_")
	for _, name := range []string{"full", "tucker", "lokr", "dora-of-inputs"} {
		adapter := renamed(t, opened(t, adapterOf(t, name)), func(tensor string) string {
			module, slot, _ := strings.Cut(strings.TrimPrefix(tensor, "lora_unet_"), ".")
			for diffusers, original := range of {
				if flat.Replace(diffusers) == module {
					return "lora_unet_" + flat.Replace(original) + "." + slot
				}
			}
			t.Fatalf("no other name of %s", tensor)
			return ""
		})
		want := opened(t, filepath.Join(diffusion, "adapters", name, "want.safetensors"))
		meets(t, opened(t, filepath.Join(diffusion, "base")+"+"+adapter), folder, want, func(name string) string { return name })
	}
}
