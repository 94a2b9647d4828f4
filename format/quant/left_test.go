package quant

import (
	"math/rand/v2"
	"strings"
	"testing"

	"weld/format"
)

// What belongs to a weight, and no part of its scheme, may say that its values are others.
func TestCompanionsThatAreLeft(t *testing.T) {
	r := rand.New(rand.NewPCG(23, 24))
	codes, scale := random(r, "a.weight", format.F8E4M3, 2, 3), random(r, "a.weight_scale", format.F32, 2, 1)
	for name, left := range map[string]bool{
		"a.weight_scale_2": true, "a.weight_global_scale": true, "a.weight_zero_point": true, "a.weight_scale_and_zero": true, "a.pre_quant_scale": true,
		"b.weight_scale_2": false, "pre_quant_scale": false, "a.scale": false, "a.weight_scale_3": false, "a.k_scale": false,
	} {
		_, err := Show(saved(t, codes, scale, random(r, name, format.F32, 1)), Declared{})
		if left != (format.KindOf(err) == format.KindScheme) || left && !strings.Contains(err.Error(), `tensor "`+name+`": it belongs to "a.weight"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := Show(saved(t, codes, scale, random(r, "a.weight_scale_inv", format.F32, 2, 1)), Declared{})
	if err == nil || !strings.Contains(err.Error(), `tensor "a.weight_scale": it belongs to`) {
		t.Errorf("scales twice: %v", err)
	}
}

// A key that is said twice says the same.
func TestConfigurationsThatContradict(t *testing.T) {
	r := rand.New(rand.NewPCG(27, 28))
	list := []stored{random(r, "a.weight", format.F8E4M3, 192, 3), random(r, "a.weight_scale_inv", format.F32, 2, 1)}
	config := func(method, block string) Declared {
		return Declared{Config: []byte(`{"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]},
			"text_config": {"quantization_config": {"quant_method": "` + method + `", "weight_block_size": ` + block + `}}}`)}
	}
	_, err := Show(saved(t, list...), config("fp8", "[96, 128]"))
	if format.KindOf(err) != format.KindScheme || !strings.Contains(err.Error(), "weight_block_size is [128,128], and [96,128] in another place") {
		t.Errorf("%v", err)
	}
	for _, d := range []Declared{config("fp8", "[128,  128]"), config("fp8", "null"), config("other", "[96, 128]")} {
		if _, err := Show(saved(t, list...), d); err != nil {
			t.Errorf("%s: %v", d.Config, err)
		}
	}
	plain := saved(t, random(r, "a.weight", format.BF16, 192, 3)) // of a model that was decoded, both are stale
	if v, err := Show(plain, config("fp8", "[96, 128]")); err != nil || v != plain {
		t.Error(err)
	}
}

// FP8 with scales is not what a method without FP8 has made.
func TestFloat8OfAnotherMethod(t *testing.T) {
	r := rand.New(rand.NewPCG(29, 30))
	list := []stored{random(r, "a.weight", format.F8E4M3, 2, 3), random(r, "a.weight_scale", format.F32, 2, 1)}
	for config, refused := range map[string]bool{
		`{"quantization_config": {"quant_method": "aqlm"}}`: true, `{"quantization_config": {"quant_method": "GPTQ", "bits": 4}}`: true,
		`{"quantization_config": {"quant_method": "fp8"}}`: false, `{"quantization_config": {"quant_method": "tomorrow"}}`: false, `{"quantization_config": {"bits": 8}}`: false, `{}`: false,
		`{"quantization_config": {"quant_method": "gptq"}, "text_config": {"quantization_config": {"quant_method": "fp8"}}}`: false,
	} {
		_, err := Show(saved(t, list...), Declared{Config: []byte(config)})
		if refused != (format.KindOf(err) == format.KindScheme) || refused && !strings.Contains(err.Error(), `which has none: it may be another model's declaration`) {
			t.Errorf("%s: %v", config, err)
		}
	}
}

// The shape of a convolution in few bits is nowhere in quanto's files.
func TestConvolutionsOfQuanto(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 32))
	for module, refused := range map[string]bool{"unet.conv_in": true, "embeddings.patch_embedding": true, "down.0.downsamplers.0": true, "resnet.shortcut.Convolution": true, "q_proj": false} {
		name := module + ".weight"
		_, err := Show(saved(t, random(r, name+"._data._data", format.U8, 4, 8), random(r, name+"._scale", format.F32, 8, 1), random(r, name+"._shift", format.F32, 8, 1), random(r, module+".bias", format.F32, 4)),
			Declared{Config: []byte(`{"quantization_config": {"quant_method": "quanto"}}`)})
		if refused != (err != nil) || refused && !strings.Contains(err.Error(), "it may be a convolution's") {
			t.Errorf("%s: %v", module, err)
		}
	}
}
