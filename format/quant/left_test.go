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
