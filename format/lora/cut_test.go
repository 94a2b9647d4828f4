package lora

import (
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"weld/format"
)

// fluxOf is as little of Flux as has its names: diffusers', or the original's.
func fluxOf(original bool) arrays {
	if original {
		return arrays{
			"double_blocks.0.img_attn.qkv.weight":   random(1, f32, 12, 4),
			"single_blocks.0.linear1.weight":        random(2, f32, 22, 4),
			"final_layer.adaLN_modulation.1.weight": random(3, f32, 8, 4),
		}
	}
	return arrays{
		"transformer_blocks.0.attn.to_q.weight":             random(1, f32, 4, 4),
		"transformer_blocks.0.attn.to_k.weight":             random(2, f32, 4, 4),
		"transformer_blocks.0.attn.to_v.weight":             random(3, format.F64, 4, 4),
		"single_transformer_blocks.0.proj_out.weight":       random(4, f32, 4, 14),
		"time_text_embed.timestep_embedder.linear_1.weight": random(5, f32, 4, 4),
		"transformer_blocks.0.attn.to_out.0.weight":         random(6, f32, 4, 4),
		"single_transformer_blocks.0.attn.to_q.weight":      random(7, f32, 4, 4),
		"single_transformer_blocks.0.attn.to_k.weight":      random(8, f32, 4, 4),
		"norm_out.linear.weight":                            random(9, f32, 8, 4),
		"single_transformer_blocks.0.norm.linear.weight":    random(10, f32, 12, 4),
		"time_text_embed.guidance_embedder.linear_2.weight": random(11, f32, 4, 4),
		"transformer_blocks.0.ff_context.net.0.proj.weight": random(12, f32, 16, 4),
		"transformer_blocks.0.norm1_context.linear.weight":  random(13, f32, 24, 4),
		"single_transformer_blocks.0.attn.norm_q.weight":    random(14, f32, 4),
		"time_text_embed.timestep_embedder.linear_2.weight": random(15, f32, 4, 4),
		"transformer_blocks.0.attn.norm_added_k.weight":     random(16, f32, 4),
		"transformer_blocks.0.attn.add_k_proj.weight":       random(17, f32, 4, 4),
		"single_transformer_blocks.0.proj_mlp.weight":       random(18, f32, 10, 4),
		"time_text_embed.text_embedder.linear_1.weight":     random(19, f32, 4, 4),
		"context_embedder.weight":                           random(20, f32, 4, 4),
		"proj_out.weight":                                   random(21, f32, 2, 4),
		"x_embedder.weight":                                 random(22, f32, 4, 2),
		"transformer_blocks.0.ff.net.2.weight":              random(23, f32, 4, 16),
		"transformer_blocks.0.attn.to_add_out.weight":       random(24, f32, 4, 4),
		"single_transformer_blocks.0.attn.norm_k.weight":    random(25, f32, 4),
		"transformer_blocks.0.ff.net.0.proj.weight":         random(26, f32, 16, 4),
		"transformer_blocks.0.ff_context.net.2.weight":      random(27, f32, 4, 16),
		"transformer_blocks.0.norm1.linear.weight":          random(28, f32, 24, 4),
	}
}

// factored is an adapter of one module.
func factored(name, down, up string, rank, out, in int64) arrays {
	return arrays{name + down: random(31, f32, rank, in), name + up: random(32, f32, out, rank)}
}

// Rows of a module that is three tensors are added to each, also where one of the three is of another type.
func TestCutOfThree(t *testing.T) {
	base, name := fluxOf(false), "double_blocks.0.img_attn.qkv"
	adapter := factored(name, ".lora_A.weight", ".lora_B.weight", 2, 12, 4)
	got, err := applyBare(t, base, adapter, nil)
	if err != nil {
		t.Fatal(err)
	}
	for part, tensor := range []string{"to_q", "to_k", "to_v"} {
		tensor = "transformer_blocks.0.attn." + tensor + ".weight"
		_, is := numbers(t, got, tensor)
		for i, x := range base[tensor].values {
			x += dot(adapter[name+".lora_B.weight"], adapter[name+".lora_A.weight"], 2, 4, int64(part*4+i/4), int64(i%4))
			if math.Abs(is[i]-x) > 1e-5 {
				t.Fatalf("%s[%d] is %v, want %v", tensor, i, is[i], x)
			}
		}
	}
}

// What fits no part of the base, or the same part twice, is refused.
func TestCutRefused(t *testing.T) {
	both := func(list ...arrays) arrays {
		all := arrays{}
		for _, one := range list {
			maps.Copy(all, one)
		}
		return all
	}
	with := func(base arrays, name string, a array) arrays { return both(base, arrays{name: a}) }
	without := func(base arrays, name string) arrays { delete(base, name); return base }
	const down, up = ".lora_down.weight", ".lora_up.weight"
	fused := factored("lora_unet_double_blocks_0_img_attn_qkv", down, up, 2, 12, 4)
	third := factored("transformer.transformer_blocks.0.attn.to_k", ".lora_A.weight", ".lora_B.weight", 2, 4, 4)
	linear1 := factored("lora_unet_single_blocks_0_linear1", down, up, 2, 22, 4)
	mlp := factored("transformer.single_transformer_blocks.0.proj_mlp", ".lora_A.weight", ".lora_B.weight", 2, 10, 4)
	for name, one := range map[string]struct {
		base, adapter arrays
		kind          format.Kind
		says          string
	}{
		"twice in diffusers":    {with(fluxOf(false), "single_transformer_blocks.0.attn.to_v.weight", random(1, f32, 4, 4)), both(fused, third), format.KindKey, "name the folder"},
		"twice, one part":       {fluxOf(true), both(factored("diffusion_model.double_blocks.0.img_attn.qkv", down, up, 2, 12, 4), fused), format.KindKey, "name the folder"},
		"one of four is away":   {fluxOf(false), linear1, format.KindKey, "no module"},
		"rows of four":          {with(fluxOf(false), "single_transformer_blocks.0.attn.to_v.weight", random(1, f32, 5, 4)), linear1, format.KindShape, "a product of shape [22 4], but of shape [23 4] is what the base has as 4 tensors"},
		"columns of four":       {with(fluxOf(false), "single_transformer_blocks.0.attn.to_v.weight", random(1, f32, 4, 5)), linear1, format.KindShape, "none of the matrices"},
		"columns of the last":   {with(with(fluxOf(false), "single_transformer_blocks.0.attn.to_v.weight", random(1, f32, 4, 4)), "single_transformer_blocks.0.proj_mlp.weight", random(1, f32, 10, 5)), factored("lora_unet_single_blocks_0_linear1", down, up, 2, 22, 5), format.KindShape, "none of the matrices"},
		"no MLP":                {with(fluxOf(true), "single_blocks.0.linear1.weight", random(1, f32, 12, 4)), mlp, format.KindShape, "and of an MLP"},
		"no columns":            {with(fluxOf(true), "single_blocks.0.linear1.weight", random(1, f32, 4, 22)), mlp, format.KindShape, "and of an MLP"},
		"no thirds":             {with(fluxOf(true), "double_blocks.0.img_attn.qkv.weight", random(1, f32, 13, 4)), third, format.KindShape, "no tensor of queries, keys and values"},
		"no halves":             {with(fluxOf(true), "final_layer.adaLN_modulation.1.weight", random(1, f32, 7, 4)), factored("transformer.norm_out.linear", ".lora_A.weight", ".lora_B.weight", 1, 7, 4), format.KindShape, "none of the matrices"},
		"no matrix":             {with(fluxOf(true), "double_blocks.0.img_attn.qkv.weight", random(1, f32, 12)), third, format.KindShape, "none of the matrices"},
		"a bias of a part":      {fluxOf(true), both(third, arrays{"transformer.transformer_blocks.0.attn.to_k.lora_B.bias": random(1, f32, 4)}), format.KindUnsupported, "for a third of the base's"},
		"a number with a zero":  {fluxOf(true), factored("transformer.transformer_blocks.00.attn.to_k", ".lora_A.weight", ".lora_B.weight", 2, 4, 4), format.KindKey, "no module"},
		"zeros in the base":     {with(fluxOf(true), "double_blocks.00.img_attn.qkv.weight", random(1, f32, 12, 4)), third, format.KindKey, "no module"},
		"another module beside": {with(fluxOf(true), "double_stream_modulation_img.lin.weight", random(1, f32, 4, 4)), third, format.KindKey, "no module"},
		"no single blocks":      {without(fluxOf(true), "single_blocks.0.linear1.weight"), third, format.KindKey, "no module"},
		"half of a name":        {fluxOf(true), both(third, arrays{"diffusion_model.double_blocks.0.img_attn.qkv.dora_scale": random(1, f32, 12, 1)}), format.KindUnsupported, "none of kohya-ss"},
	} {
		_, err := applyBare(t, one.base, one.adapter, nil)
		var e *format.Error
		if !errors.As(err, &e) || e.Kind != one.kind || !strings.Contains(err.Error(), one.says) {
			t.Errorf("%s: %v, want %s: %q", name, err, one.kind, one.says)
		}
	}
}

// Two names for the same rows are refused in a folder of components, where an adapter may be of several sets of names.
func TestCutTwice(t *testing.T) {
	third := factored("transformer.transformer_blocks.0.attn.to_k", ".lora_A.weight", ".lora_B.weight", 2, 4, 4)
	maps.Copy(third, factored("double_blocks.0.img_attn.qkv", ".lora_A.weight", ".lora_B.weight", 2, 12, 4))
	for _, original := range []bool{true, false} {
		base := arrays{}
		for name, a := range fluxOf(original) {
			base["transformer/"+name] = a
		}
		_, err := applyBare(t, base, third, nil)
		var e *format.Error
		if !errors.As(err, &e) || e.Kind != format.KindDuplicate || !strings.Contains(err.Error(), "changes the same tensor") {
			t.Errorf("original %v: %v", original, err)
		}
	}
}

// Steps of a tensor are apart where their rows are.
func TestApart(t *testing.T) {
	rows := func(top, n int64) *band { return &band{inner: new(addition), top: top, rows: n} }
	e := &edit{steps: []delta{rows(4, 4)}}
	for _, x := range []struct {
		step delta
		want bool
	}{{rows(0, 4), true}, {rows(8, 4), true}, {rows(4, 4), false}, {rows(6, 4), false}, {rows(0, 5), false}, {rows(5, 1), false}, {new(addition), false}} {
		if got := e.apart(x.step); got != x.want {
			t.Errorf("%+v: %v", x.step, got)
		}
	}
}

// The last block of Stable Diffusion 3 is the one without a projection of the context: of a model that is cut short, no block is.
func TestLastBlock(t *testing.T) {
	modules := []string{"x_embedder.proj", "final_layer.linear", "joint_blocks.0.context_block.attn.proj", "joint_blocks.1.x_block.attn.proj"}
	there := make(map[string]bool)
	for _, m := range modules {
		there[m] = true
	}
	if last, ok := sd3.holds(0, modules, there); !ok || last != 1 {
		t.Errorf("%d, %v", last, ok)
	}
	cut := append(slices.Clone(modules), "joint_blocks.1.context_block.attn.proj")
	there[cut[len(cut)-1]] = true
	if last, ok := sd3.holds(0, cut, there); ok {
		t.Errorf("block %d is taken for the last", last)
	}
}
