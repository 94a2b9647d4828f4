package plan

import (
	"slices"
	"testing"

	"weld/format"
)

func TestLinears(t *testing.T) {
	for name, want := range map[string]bool{
		"model.layers.0.self_attn.q_proj.weight": true, "model.layers.11.mlp.experts.3.down_proj.weight": true, "model.layers.2.mlp.shared_expert.gate_proj.weight": true,
		"model.language_model.layers.0.mlp.up_proj.weight": true, "model.layers.3.self_attn.kv_a_proj_with_mqa.weight": true, "encoder.block.0.layer.0.SelfAttention.q.weight": true,
		"model.layers.0.mixer.in_proj.weight": true, "gpt_neox.layers.0.attention.query_key_value.weight": true, "transformer.h.0.attn.c_attn.weight": true,

		"lm_head.weight": false, "model.embed_tokens.weight": false, "model.layers.61.embed_tokens.weight": false, "model.layers.61.shared_head.head.weight": false, "model.layers.61.eh_proj.weight": false,
		"model.layers.0.mlp.gate.weight": false, "model.layers.0.mlp.shared_expert_gate.weight": false, "model.layers.0.feed_forward.router.weight": false, "model.layers.0.block_sparse_moe.router.layer.weight": false,
		"model.layers.0.self_attn.q_norm.weight": false, "model.layers.0.conv.in_conv.weight": false, "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": false,
		"model.layers.0.self_attn.q_proj.bias": false, "model.layers.0.mixer.A_log": false, "score.weight": false, "model.layers.0.mlp.experts.gate_up_proj": false,
		"vision_tower.encoder.layers.0.fc1.weight": false, "model.visual.blocks.0.attn.qkv.weight": false, "audio_tower.layers.0.fc1.weight": false, "model.layers.0.self_attn.indexer.weights_proj.weight": false,
	} {
		if got := linearsOf([]byte(`{"model_type": "llama"}`)).has(name, []int64{8, 8}); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	gpt2 := linearsOf([]byte(`{"model_type": "gpt2"}`))
	if gpt2.has("transformer.h.0.attn.c_attn.weight", []int64{8, 8}) || linearsOf(nil).has("model.layers.0.q.weight", []int64{2, 8, 8}) {
		t.Error("Conv1D, or three dimensions")
	}
}

func TestPlainModules(t *testing.T) {
	var tensors []format.Tensor
	for _, name := range []string{
		"model.embed_tokens.weight", "model.layers.0.mlp.gate.weight", "model.layers.0.mixer.A_log", "model.layers.0.mlp.experts.0.down_proj.weight", "model.layers.0.mlp.experts.1.down_proj.weight",
		"model.layers.1.mlp.experts.gate_up_proj", "model.layers.2.mlp.experts.0.down_proj.weight", "bare",
	} {
		tensors = append(tensors, format.Tensor{Name: name, Shape: []int64{4, 4}})
	}
	tensors = append(tensors, format.Tensor{Name: "model.norm.weight", Shape: []int64{4}})
	got := plainModules(tensors, []string{"model.layers.0.mixer.in_proj", "model.layers.2.mlp.experts.0.up_proj"})
	want := []string{
		"model.layers.0.mlp.gate", "model.layers.0.mlp.experts", "model.layers.0.mlp.experts.0.down_proj", "model.layers.0.mlp.experts.1.down_proj",
		"model.layers.1.mlp.experts", "model.layers.2.mlp.experts.0.down_proj", "lm_head",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
