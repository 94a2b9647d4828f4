package quant

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"weld/format"
)

// A model that was cast to FP8 as a whole has values, also where it learnt something that is called as a scale is.
func TestFloat8Casts(t *testing.T) {
	r := rand.New(rand.NewPCG(61, 62))
	list := []stored{
		random(r, "q.weight", format.F8E4M3, 4, 4), random(r, "q.weight_scale", format.F8E4M3, 4), random(r, "q.input_scale", format.F8E4M3, 1),
		random(r, "k.weight", format.F8E4M3, 4, 4), random(r, "k.scale", format.F8E4M3, 4), random(r, "norm.weight", format.F8E4M3, 4),
	}
	c := saved(t, list...)
	v, err := Show(c, Declared{})
	if err != nil || v != c {
		t.Fatalf("%v, %v", v, err)
	}
	if s, _ := Recognize(Declared{}, v.Tensors()); s != nil {
		t.Errorf("%+v", s)
	}
	d := Declared{Config: []byte(`{"quantization_config": {"quant_method": "fp8"}}`)}
	if s, _ := Recognize(d, v.Tensors()); s == nil {
		t.Error("declared, and not recognised")
	}
}

// Codes with scales beside codes without: a part of them is a cast, or a part is lost. Only a configuration would say.
func TestFloat8OfBothKinds(t *testing.T) {
	r := rand.New(rand.NewPCG(63, 64))
	scaled := []stored{random(r, "q.weight", format.F8E4M3, 4, 4), random(r, "q.weight_scale", format.F32, 4)}
	_, err := Show(saved(t, append(slices.Clone(scaled), random(r, "norm.weight", format.F8E4M3, 4))...), Declared{})
	if e, ok := err.(*format.Error); !ok || e.Kind != format.KindScheme || e.Tensor != "norm.weight" || !strings.Contains(err.Error(), `"q.weight" has "q.weight_scale"`) {
		t.Errorf("%v", err)
	}
	d := Declared{Config: []byte(`{"quantization_config": {"quant_method": "fp8"}}`)}
	v, err := Show(saved(t, append(slices.Clone(scaled), random(r, "norm.weight", format.F8E4M3, 4))...), d)
	if err != nil {
		t.Fatal(err)
	}
	if s, _ := Recognize(d, v.Tensors()); s == nil || s.Codes.Name != "norm.weight" {
		t.Errorf("%+v", s)
	}
	// ComfyUI's marker has no values, and vanishes with the scales.
	for _, n := range []int64{0, 2, 3} {
		v, err := Show(saved(t, random(r, "model.scaled_fp8", format.F8E4M3, n), random(r, "model.q.weight", format.F8E4M3, 4, 4), random(r, "model.q.scale_weight", format.F32)), Declared{})
		if n == 3 {
			if e, ok := err.(*format.Error); !ok || e.Tensor != "model.scaled_fp8" {
				t.Errorf("a marker with values: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if x := v.Tensors(); len(x) != 1 || x[0].Name != "model.q.weight" {
			t.Errorf("%v", x)
		}
		e, ok := v.(*Decoded).Encoding(0)
		if !ok || len(e.Companions) != 2 || e.Companions[1].Name != "model.scaled_fp8" {
			t.Errorf("%+v", e)
		}
	}
}
