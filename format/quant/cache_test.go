package quant

import (
	"math/rand/v2"
	"slices"
	"testing"

	"weld/format"
)

// What is of a key-value cache is shown, and marked: where one is declared, whatever its scales are of; else single numbers beside values that are coded.
func TestCacheScales(t *testing.T) {
	r := rand.New(rand.NewPCG(51, 52))
	fp8 := []stored{random(r, "q.weight", format.F8E4M3, 4, 4), random(r, "q.weight_scale", format.F32)}
	plain := []stored{random(r, "q.weight", format.BF16, 4, 4)}
	const declared, undeclared = `{"quantization_config": {"quant_method": "fp8", "kv_cache_scheme": "static"}}`, `{"quantization_config": {"quant_method": "fp8", "kv_cache_scheme": null}}`
	for name, c := range map[string]struct {
		d       Declared
		weights []stored
		tensor  stored
		marked  bool
	}{
		"ModelOpt":                         {Declared{QuantConfig: []byte(`{"quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}}`)}, fp8, random(r, "a.k_proj.k_scale", format.F32), true},
		"ModelOpt, of nothing but a cache": {Declared{QuantConfig: []byte(`{"quantization": {"quant_algo": null, "kv_cache_quant_algo": "FP8"}}`)}, plain, random(r, "a.v_proj.v_scale", format.F32), true},
		"AutoFP8":                          {Declared{Config: []byte(declared)}, fp8, random(r, "a.kv_scale", format.F32, 1), true},
		"AutoFP8, of a layer":              {Declared{Config: []byte(declared)}, fp8, random(r, "a.k_proj.output_scale", format.F32), true},
		"of heads":                         {Declared{Config: []byte(declared)}, fp8, random(r, "a.k_scale", format.BF16, 8, 1, 1), true},
		"zero points":                      {Declared{Config: []byte(declared)}, fp8, random(r, "a.k_zero_point", format.I8, 8, 1, 1), true},
		"vLLM's name":                      {Declared{Config: []byte(declared)}, fp8, random(r, "a.attn.prob_scale", format.F32), true},
		"not declared":                     {Declared{Config: []byte(undeclared)}, fp8, random(r, "a.k_scale", format.F32, 1), true},
		"no configuration":                 {Declared{}, fp8, random(r, "a.k_scale", format.F32, 1), true},
		"learnt, one of each head":         {Declared{}, fp8, random(r, "a.k_scale", format.F32, 8), false},
		"learnt, of a plain model":         {Declared{}, plain, random(r, "a.k_scale", format.F32, 1), false},
		"of another layer":                 {Declared{Config: []byte(declared)}, fp8, random(r, "a.gate.output_scale", format.F32), false},
		"codes of that name":               {Declared{Config: []byte(declared)}, fp8, random(r, "a.k_scale", format.I8, 8), false},
	} {
		v, err := Show(saved(t, append(slices.Clone(c.weights), c.tensor)...), c.d)
		if err != nil {
			t.Fatal(err)
		}
		i, ok := v.Find(c.tensor.Name)
		if !ok || v.Tensors()[i].Calibrated != c.marked || v.Tensors()[i].Computable() != (!c.marked && c.tensor.DType.Computable()) {
			t.Errorf("%s: %+v, %v", name, v.Tensors()[i], ok)
		}
		if s, _ := Recognize(c.d, v.Tensors()); c.marked && s != nil {
			t.Errorf("%s: %+v is left", name, s)
		}
		if q, _ := v.Find("q.weight"); v.Tensors()[q].Calibrated {
			t.Errorf("%s: a weight is marked", name)
		}
	}
	// Several numbers that no cache is declared for, under a declared scheme: nobody can tell.
	d := Declared{Config: []byte(undeclared)}
	v, err := Show(saved(t, append(slices.Clone(fp8), random(r, "a.k_scale", format.F32, 8))...), d)
	if err != nil {
		t.Fatal(err)
	}
	if s, _ := Recognize(d, v.Tensors()); s == nil || s.Codes.Name != "a.k_scale" {
		t.Errorf("%+v", s)
	}
}
