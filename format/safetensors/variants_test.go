package safetensors

import (
	"slices"
	"testing"
)

func TestVariants(t *testing.T) {
	for name, want := range map[string][2]string{
		"model.safetensors": {"model", ""}, "model.fp16.safetensors": {"model", "fp16"}, "model.fp16.safetensors.zst": {"model", "fp16"},
		"diffusion_pytorch_model-00001-of-00002.safetensors":      {"diffusion_pytorch_model", ""},
		"diffusion_pytorch_model-00001-of-00002.fp16.safetensors": {"diffusion_pytorch_model", "fp16"},
		"diffusion_pytorch_model.fp16-00001-of-00002.safetensors": {"diffusion_pytorch_model", "fp16"},
		"diffusion_pytorch_model.safetensors.index.json":          {"diffusion_pytorch_model", ""},
		"diffusion_pytorch_model.safetensors.index.fp16.json":     {"diffusion_pytorch_model", "fp16"},
		"model.non_ema.safetensors.index.json":                    {"model", "non_ema"},
	} {
		if stem, of, ok := variant(name); !ok || stem != want[0] || of != want[1] {
			t.Errorf("%s: %q, %q, %v", name, stem, of, ok)
		}
	}
	for _, name := range []string{"llama-3.1.safetensors", "consolidated.safetensors", "adapter_model.safetensors", "model.a.b.safetensors", "mymodel.safetensors"} {
		if stem, of, ok := variant(name); ok {
			t.Errorf("%s is the variant %q of %q", name, of, stem)
		}
	}
}

func TestForemost(t *testing.T) {
	for _, c := range []struct{ indexes, files, wantIndexes, wantFiles []string }{
		{nil, []string{"model.fp16.safetensors", "model.safetensors"}, nil, []string{"model.safetensors"}},
		{nil, []string{"model.fp16.safetensors"}, nil, []string{"model.fp16.safetensors"}},
		{nil, []string{"model.bf16.safetensors", "model.fp16.safetensors"}, nil, []string{"model.bf16.safetensors", "model.fp16.safetensors"}},
		{[]string{"model.safetensors.index.fp16.json"}, []string{"model.fp16-00001-of-00001.safetensors", "model.safetensors"}, nil, []string{"model.safetensors"}},
		{[]string{"model.safetensors.index.json"}, []string{"model-00001-of-00001.safetensors", "model.fp16.safetensors"}, []string{"model.safetensors.index.json"}, []string{"model-00001-of-00001.safetensors"}},
		{nil, []string{"model.safetensors", "diffusion_pytorch_model.fp16.safetensors"}, nil, []string{"model.safetensors", "diffusion_pytorch_model.fp16.safetensors"}},
	} {
		if i, f := foremost(c.indexes, c.files); !slices.Equal(i, c.wantIndexes) || !slices.Equal(f, c.wantFiles) {
			t.Errorf("of %v, %v: %v, %v", c.indexes, c.files, i, f)
		}
	}
}

func TestStems(t *testing.T) {
	for want, choices := range map[string][]choice{
		"model":                   {{index: IndexName}, {shards: []string{SingleName}}, {shards: []string{"model.fp16.safetensors"}}},
		"diffusion_pytorch_model": {{index: "diffusion_pytorch_model.safetensors.index.fp16.json"}, {shards: []string{"diffusion_pytorch_model-00001-of-00002.safetensors"}}},
		"own":                     {{index: "own.safetensors.index.json"}, {shards: []string{"own-1-of-2.safetensors"}}, {shards: []string{"own.Safetensors.zst"}}, {shards: []string{"own.safetensors"}}},
	} {
		for _, c := range choices {
			if got := c.stem(); got != want {
				t.Errorf("%+v: %s, want %s", c, got, want)
			}
		}
	}
}
