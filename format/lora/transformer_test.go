package lora_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"weld/format"
	"weld/format/model"
)

const transformers = "testdata/transformers"

// kinds are the two sets of names of a model, and where the goldens have it in each.
var kinds = map[string]string{"original": "original.safetensors", "diffusers": "transformer"}

// An adapter of Flux or Stable Diffusion 3, in any of its names, makes of a model in either set of names what diffusers' conversion
// of the model has of it (.ci/interop/transformer_lora_golden.py).
func TestTransformerGoldens(t *testing.T) {
	seen := 0
	for _, family := range []string{"flux", "sd3"} {
		for kind, name := range kinds {
			files, err := filepath.Glob(filepath.Join(transformers, family, "adapters", "*."+kind+".safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				seen++
				t.Run(strings.TrimPrefix(file, transformers), func(t *testing.T) {
					base := opened(t, filepath.Join(transformers, family, name))
					adapter := strings.TrimSuffix(file, "."+kind+".safetensors") + ".safetensors"
					c := opened(t, filepath.Join(transformers, family, name)+"+"+adapter)
					meets(t, c, base, opened(t, file), func(tensor string) string { return tensor })
				})
			}
		}
	}
	if seen != 20 {
		t.Errorf("%d pairs", seen)
	}
}

// All parts of what is shown are the same, whatever range is asked for: rows of fused tensors come from several modules.
func TestTransformerRanges(t *testing.T) {
	name := filepath.Join(transformers, "flux", "original.safetensors") + "+" + filepath.Join(transformers, "flux", "adapters", "diffusers.safetensors")
	c := opened(t, name)
	for _, tensor := range []string{"single_blocks.0.linear1.weight", "double_blocks.1.txt_attn.qkv.weight", "final_layer.adaLN_modulation.1.weight"} {
		i, ok := c.Find(tensor)
		if !ok {
			t.Fatal(tensor)
		}
		size := c.Tensors()[i].Bytes()
		whole, err := c.View(i, 0, size)
		if err != nil {
			t.Fatal(err)
		}
		for off := int64(0); off < size; off += 36 {
			part, err := c.View(i, off, min(36, size-off))
			if err != nil || string(part.Data) != string(whole.Data[off:off+int64(len(part.Data))]) {
				t.Fatalf("%s: bytes from %d on: %v", tensor, off, err)
			}
			part.Release()
		}
		whole.Release()
	}
}

// What has no place in the other names, or does not fit there, is refused by name.
func TestTransformerRefused(t *testing.T) {
	adapters := filepath.Join(transformers, "flux", "adapters")
	kohya := opened(t, filepath.Join(adapters, "kohya.safetensors"))
	flat := opened(t, filepath.Join(adapters, "flat.safetensors"))
	diffusers := opened(t, filepath.Join(adapters, "diffusers.safetensors"))
	original, folder := filepath.Join(transformers, "flux", kinds["original"]), filepath.Join(transformers, "flux", kinds["diffusers"])
	only := func(from format.Checkpoint, module, slot, as string) string {
		return renamed(t, from, func(name string) string {
			switch {
			case !strings.Contains(name, module):
				return ""
			case slot != "" && strings.Contains(name, slot):
				return strings.Replace(name, slot, as, 1)
			}
			return name
		})
	}
	withOther := renamed(t, opened(t, original), func(name string) string {
		return strings.Replace(name, "time_in.in_layer", "distilled_guidance_layer.in_proj", 1)
	})
	for what, one := range map[string]struct {
		base, adapter string
		kind          format.Kind
		says          string
	}{
		"DoRA of three":        {folder, only(kohya, "double_blocks_0_img_attn_qkv", ".alpha", ".dora_scale"), format.KindUnsupported, "for what the base has as 3 tensors"},
		"DoRA of a part":       {original, only(flat, "single_transformer_blocks_0_attn_to_v", ".alpha", ".dora_scale"), format.KindUnsupported, "for a part of the base's"},
		"a difference":         {folder, only(kohya, "final_layer_adaLN_modulation_1.lora_up", ".lora_up.weight", ".diff"), format.KindUnsupported, "a difference for the base's"},
		"another model":        {withOther, only(diffusers, "single_transformer_blocks.0.attn.to_v", "", ""), format.KindKey, "no module called"},
		"one of another model": {filepath.Join(transformers, "sd3", kinds["original"]), only(diffusers, "single_transformer_blocks.0.proj_out", "", ""), format.KindKey, "no module called"},
		"a fused of another":   {folder, filepath.Join(transformers, "sd3", "adapters", "kohya.safetensors"), format.KindKey, "no module"},
		"rows":                 {original, only(diffusers, "single_transformer_blocks.0.proj_mlp", "proj_mlp", "attn.to_q"), format.KindShape, "a part of the base's"},
	} {
		_, err := model.Named(one.base + "+" + one.adapter)
		var e *format.Error
		if !errors.As(err, &e) || e.Kind != one.kind || !strings.Contains(err.Error(), one.says) {
			t.Errorf("%s: %v, want %s: %q", what, err, one.kind, one.says)
		}
	}
}
