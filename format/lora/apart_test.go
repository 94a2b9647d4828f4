package lora

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// An adapter of all experts does to a base that stores them one by one what it does to one tensor of all.
func TestExpertsApart(t *testing.T) {
	const e, out, in, r = 3, 5, 4, 2
	up, down := random(1, f32, e, 2*out, in), random(2, f32, e, in, out)
	together, apart := arrays{"mlp.experts.gate_up_proj": up, "mlp.experts.down_proj": down}, arrays{}
	cut := func(a array, from, rows, cols int) array {
		return array{f32, []int64{int64(rows), int64(cols)}, a.values[from:][:rows*cols], a.bytes[4*from:][:4*rows*cols]}
	}
	for i := range e {
		name := fmt.Sprintf("block_sparse_moe.experts.%d.", i) // as Mixtral's files have it
		apart[name+"w1.weight"], apart[name+"w3.weight"] = cut(up, i*2*out*in, out, in), cut(up, i*2*out*in+out*in, out, in)
		apart[name+"w2.weight"] = cut(down, i*in*out, in, out)
	}
	adapter := arrays{
		prefix + "mlp.experts.base_layer.lora_A.weight": random(5, f32, e*r, in), prefix + "mlp.experts.base_layer.lora_B.weight": random(6, f32, 2*out, e*r),
		prefix + "mlp.experts.lora_A.weight": random(7, f32, e*r, out), prefix + "mlp.experts.lora_B.weight": random(8, f32, in, e*r),
	}
	s := settings{"r": r, "lora_alpha": 3, "target_parameters": []string{"gate_up_proj", "down_proj"}}
	one, many := apply(t, together, adapter, s), apply(t, apart, adapter, s)
	_, wantUp := numbers(t, one, "mlp.experts.gate_up_proj")
	_, wantDown := numbers(t, one, "mlp.experts.down_proj")
	if slices.Equal(wantUp, up.values) || slices.Equal(wantDown, down.values) {
		t.Fatal("nothing is changed")
	}
	var gotUp, gotDown []float64
	for i := range e {
		for _, part := range []string{"w1", "w3", "w2"} {
			_, got := numbers(t, many, fmt.Sprintf("block_sparse_moe.experts.%d.%s.weight", i, part))
			if part == "w2" {
				gotDown = append(gotDown, got...)
			} else {
				gotUp = append(gotUp, got...)
			}
		}
	}
	if !slices.Equal(gotUp, wantUp) || !slices.Equal(gotDown, wantDown) {
		t.Errorf("%v and %v, want %v and %v", gotUp, gotDown, wantUp, wantDown)
	}
	// A base with another number of experts is another model.
	delete(apart, "block_sparse_moe.experts.1.w3.weight")
	_, err := Apply(apart.open(t, "model.safetensors", nil), adapter.open(t, "adapter_model.safetensors", nil), s.raw())
	if err == nil || !strings.Contains(err.Error(), "which fit none of") {
		t.Errorf("an expert less: %v", err)
	}
}
