package stream

import (
	"bytes"
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weld/format"
)

const keyScale, valueScale = "model.layers.0.self_attn.k_proj.k_scale", "model.layers.0.self_attn.v_proj.v_scale"

// withCache is a model with the scales of a key-value cache.
func withCache(c checkpoint, scale float64) checkpoint {
	return append(c, floats(keyScale, format.F32, []float64{scale}), floats(valueScale, format.F32, []float64{scale / 2}))
}

// saveCached saves a model with its configuration.
func saveCached(t *testing.T, dir, config string, c checkpoint) string {
	c.save(t, filepath.Join(dir, "model.safetensors"))
	write(t, filepath.Join(dir, "config.json"), []byte(config))
	return dir
}

// Scales of a key-value cache are those of the checkpoint that the output resembles, bit by bit, as long as its configuration speaks of them; else they
// are left out. They are never merged, nor is a model asked for them.
func TestCacheScales(t *testing.T) {
	cached := strings.Replace(codedConfig, `"fp8",`, `"fp8", "kv_cache_scheme": "static",`, 1)
	const only = `{"num_hidden_layers": 1, "quantization_config": {"quant_method": "modelopt", "quant_algo": null, "kv_cache_quant_algo": "FP8"}}`
	const weight = "model.layers.0.mlp.up_proj.weight"
	plain := func(seed float64) checkpoint {
		return checkpoint{floats("model.norm.weight", format.BF16, []float64{1, seed}, 2), floats(weight, format.BF16, slices.Repeat([]float64{seed}, 30), 6, 5)}
	}
	dir := t.TempDir()
	a := saveCached(t, filepath.Join(dir, "a"), cached, withCache(codedModel(1), 0.25))
	b := saveCached(t, filepath.Join(dir, "b"), cached, withCache(codedModel(2), 0.75))
	none := saveCached(t, filepath.Join(dir, "none"), codedConfig, codedModel(3))
	half := saveCached(t, filepath.Join(dir, "half"), `{"num_hidden_layers": 1}`, plain(4))
	of := saveCached(t, filepath.Join(dir, "of"), only, withCache(plain(5), 0.5))
	linear := func(models ...string) string {
		return "merge_method: linear\nmodels: [{model: " + strings.Join(models, ", parameters: {weight: 0.5}}, {model: ") + ", parameters: {weight: 0.5}}]\n"
	}
	for name, c := range map[string]struct {
		text, config string
		scale        float64 // 0 where there is none
		note         string
	}{
		"two caches":               {linear(a, b), cached, 0.25, "carried as they are"},
		"a model without":          {linear(b, none), cached, 0.75, "carried as they are"},
		"a plain model":            {linear(b, half), cached, 0.75, "carried as they are"},
		"missing ones dropped":     {linear(b, half) + "missing: drop\n", cached, 0.75, "carried as they are"},
		"a base without":           {"merge_method: task_arithmetic\nbase_model: " + none + "\nmodels: [{model: " + a + "}]\n", codedConfig, 0, "left out, since"},
		"a plain base":             {"merge_method: task_arithmetic\nbase_model: " + half + "\nmodels: [{model: " + a + "}]\n", `{"num_hidden_layers": 1}`, 0, "left out, since"},
		"plain values":             {linear(a, b) + "quantize: none\n", "", 0, "are left out"},
		"plain values of one":      {"merge_method: passthrough\nquantize: none\nmodels: [{model: " + a + "}]\n", "", 0, "are left out"},
		"a type":                   {linear(a, b) + "out_dtype: float32\n", "", 0, "are left out"},
		"a copy":                   {"merge_method: passthrough\nmodels: [{model: " + a + "}]\n", cached, 0.25, ""},
		"nothing but a cache":      {linear(of, half), only, 0.5, "carried as they are"},
		"nothing but one, plainly": {linear(of, half) + "quantize: none\n", "", 0, "are left out"},
		"another scheme":           {linear(a, b) + "quantize: fp8_block\n", "another", 0, "are left out"},
		"slices with another": {"merge_method: linear\nslices:\n- sources: [{model: " + of + ", layer_range: [0, 1], parameters: {weight: 0.5}}]\n- sources: [{model: " + half + ", layer_range: [0, 1], parameters: {weight: 0.5}}]\n",
			"", 0, "are left out"},
		"slices": {"merge_method: linear\nslices:\n- sources: [{model: " + b + ", layer_range: [0, 1], parameters: {weight: 0.5}}, {model: " + a + ", layer_range: [0, 1], parameters: {weight: 0.5}}]\n",
			cached, 0.75, "carried as they are"},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			p, err := planText(c.text, out)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			if c.note != "" && !slices.ContainsFunc(p.Notes, func(n string) bool { return strings.Contains(n, c.note) && strings.Contains(n, keyScale) }) {
				t.Errorf("%q", p.Notes)
			}
			if _, err := p.Merge(context.Background()); err != nil {
				t.Fatal(err)
			}
			merged, _ := load(t, read(t, filepath.Join(out, "model.safetensors")))
			want := withCache(nil, c.scale)
			for _, x := range want {
				switch got := merged.find(x.Name); {
				case c.scale == 0 && got != nil:
					t.Errorf("%s is written", x.Name)
				case c.scale != 0 && (got == nil || got.DType != x.DType || !bytes.Equal(got.data, x.data)):
					t.Errorf("%s is %v", x.Name, got)
				}
			}
			if merged.find(weight) == nil || c.scale == 0 && len(merged) > 4 {
				t.Errorf("%v", merged)
			}
			switch config := string(read(t, filepath.Join(out, "config.json"))); {
			case c.config == "another":
				if !strings.Contains(config, "quantization_config") || strings.Contains(config, "kv_cache") {
					t.Errorf("config.json is %s", config)
				}
			case c.config == "" && strings.Contains(config, "quantization_config"), c.config != "" && config != c.config:
				t.Errorf("config.json is %s", config)
			}
		})
	}
}

// In a stack, layers have the scales of the models that they are from, under their new numbers.
func TestCacheScalesOfSlices(t *testing.T) {
	cached := strings.Replace(codedConfig, `"fp8",`, `"fp8", "kv_cache_scheme": "static",`, 1)
	dir := t.TempDir()
	a := saveCached(t, filepath.Join(dir, "a"), cached, withCache(codedModel(1), 0.25))
	b := saveCached(t, filepath.Join(dir, "b"), cached, withCache(codedModel(2), 0.75))
	out := filepath.Join(dir, "out")
	p, err := planText("merge_method: linear\nslices:\n- sources: [{model: "+a+", layer_range: [0, 1], parameters: {weight: 0.5}}]\n- sources: [{model: "+b+", layer_range: [0, 1], parameters: {weight: 0.5}}]\n", out)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Merge(context.Background()); err != nil {
		t.Fatal(err)
	}
	merged, _ := load(t, read(t, filepath.Join(out, "model.safetensors")))
	for name, want := range map[string]float64{keyScale: 0.25, strings.Replace(keyScale, "layers.0", "layers.1", 1): 0.75} {
		if x := merged.find(name); x == nil || !bytes.Equal(x.data, floats(name, format.F32, []float64{want}).data) {
			t.Errorf("%s is %v", name, x)
		}
	}
	for _, from := range []string{a, b} {
		if !slices.ContainsFunc(p.Notes, func(n string) bool { return strings.HasPrefix(n, from+": scales of its key-value cache are carried") }) {
			t.Errorf("%s: %q", from, p.Notes)
		}
	}
}
