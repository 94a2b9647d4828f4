package lora

import (
	"strings"
	"testing"

	"weld/format"
)

// Whose an adapter is shows in all of its names; a model with a stray name is none.
func TestLayouts(t *testing.T) {
	for _, c := range []struct {
		names []string
		whose string // "" for no adapter
	}{
		{[]string{prefix + "q.lora_A.weight", prefix + "q.lora_B.weight", prefix + "lm_head.weight"}, "PEFT's layout"},
		{[]string{"base_model.vera_A", prefix + "q.vera_lambda_b"}, "PEFT's layout"},
		{[]string{prefix + "q.base_layer.weight", prefix + "q.lora_A.weight"}, "PEFT's wrapper"},
		{[]string{"lora_unet_down_blocks_0_to_q.lora_down.weight", "lora_unet_down_blocks_0_to_q.lora_up.weight", "lora_te1_text_model_fc1.alpha"}, "kohya-ss/sd-scripts"},
		{[]string{"lora_unet_a.hada_w1_a", "lora_unet_a.alpha", "lora_te_b.lokr_w1", "lora_unet_c.dora_scale"}, "kohya-ss/sd-scripts"},
		{[]string{"diffusion_model.blocks.0.q.lora_A.weight", "diffusion_model.blocks.0.q.lora_B.weight", "diffusion_model.blocks.0.b.diff_b"}, "ComfyUI"},
		{[]string{"transformer.blocks.0.to_q.lora_A.weight", "text_encoder.layers.0.q.lora_linear_layer.down.weight"}, "diffusers"},
		{[]string{"unet.down.0.attn1.processor.to_q_lora.down.weight", "unet.down.0.attn1.processor.to_q_lora.up.weight"}, "diffusers"},
		{[]string{"double_blocks.0.img_attn.qkv.lora_A.weight", "final_layer.linear.lora_B.weight"}, "the original names"},
		{[]string{"diffusion_model.joint_blocks.0.x_block.attn.qkv.lora_down.weight", "diffusion_model.joint_blocks.0.x_block.attn.qkv.alpha"}, "the original names"},
		{[]string{"double_blocks.0.processor.qkv_lora1.down.weight", "double_blocks.0.processor.qkv_lora1.up.weight"}, "XLabs"},
		{[]string{"model.layers.0.q_proj.lora_a", "model.layers.0.q_proj.lora_b", "model.layers.0.q_proj.m"}, "MLX"},
		{[]string{"model.layers.0.q_proj.lora_A.weight", "model.layers.0.q_proj.lora_B.default.weight"}, "without PEFT's beginning"},
		{[]string{"model.layers.0.q_proj.weight", "model.layers.0.q_proj.lora_A.weight"}, ""},
		{[]string{"model.embed.weight", "lm_head.weight"}, ""},
		{[]string{"transformer.h.0.attn.weight", "transformer.wte.weight"}, ""},
		{[]string{"unet.down.0.alpha", "unet.down.0.weight"}, ""},
		{[]string{"a.m", "b.m"}, ""},
		{nil, ""},
	} {
		var ck imagined
		for _, name := range c.names {
			ck.tensors = append(ck.tensors, format.Tensor{Name: name})
		}
		whose, ok := Adapter(ck)
		if ok != (c.whose != "") || !strings.Contains(whose, c.whose) {
			t.Errorf("%v: %q %v, want %q", c.names, whose, ok, c.whose)
		}
		err := CheckLayout(ck)
		read := c.whose == "kohya-ss/sd-scripts" || c.whose == "diffusers" || c.whose == "the original names"
		if Bare(ck) != read {
			t.Errorf("%v: read without a configuration: %v", c.names, Bare(ck))
		}
		foreign := c.whose != "" && !strings.HasPrefix(c.whose, "PEFT's") && !read
		if (err != nil) != foreign || foreign && (format.KindOf(err) != format.KindUnsupported || !strings.Contains(err.Error(), c.whose)) {
			t.Errorf("%v: %v", c.names, err)
		}
	}
}
