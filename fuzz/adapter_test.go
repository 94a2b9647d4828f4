package fuzz

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"weld/format"
	"weld/format/lora"
	"weld/format/open"
	"weld/format/safetensors"
)

// FuzzBareAdapter applies arbitrary safetensors files, as adapters that have no configuration, to the bases that the seeds belong to: they are
// refused with a fault that says what, or every tensor is there to read.
func FuzzBareAdapter(f *testing.F) {
	const goldens = "../format/lora/testdata"
	for _, pattern := range []string{"diffusion/adapters/*/adapter.safetensors", "diffusion/adapters/*/pytorch_lora_weights.safetensors", "transformers/*/adapters/*.safetensors"} {
		paths, err := filepath.Glob(filepath.Join(goldens, pattern))
		if err != nil || len(paths) < 5 {
			f.Fatal(paths, err)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	var bases []format.Checkpoint
	for _, name := range []string{"diffusion/base", "transformers/flux/original.safetensors", "transformers/flux/transformer", "transformers/sd3/original.safetensors", "transformers/sd3/transformer"} {
		base, err := open.Checkpoint(filepath.Join(goldens, name))
		if err != nil {
			f.Fatal(err)
		}
		f.Cleanup(func() { base.Close() })
		bases = append(bases, base)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file := &inMemory{Reader: bytes.NewReader(data), path: "lora.safetensors", data: data}
		adapter, err := safetensors.OpenFile(file.path, file)
		if err != nil || !lora.Bare(adapter) {
			return
		}
		for _, base := range bases {
			apply(t, base, adapter)
		}
		if file.beyond {
			t.Fatal("more was asked for than is there")
		}
	})
}

// apply reads all of a base with an adapter, or holds it to its refusal.
func apply(t *testing.T, base, adapter format.Checkpoint) {
	t.Helper()
	c, err := lora.ApplyBare(base, adapter)
	if err != nil {
		if format.KindOf(err) == "" {
			t.Fatalf("an error without a kind: %v", err)
		}
		return
	}
	for i, tensor := range c.Tensors() {
		view, err := c.View(i, 0, tensor.Bytes())
		if err != nil {
			t.Fatalf("%s: %v", tensor.Name, err)
		}
		view.Release()
	}
}
