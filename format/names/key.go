package names

import (
	"slices"
	"strings"
)

// wrappers are parts of names that frameworks add around modules: DistributedDataParallel, torch.compile,
// FSDP, activation checkpointing, and PEFT around the layers that it adapts.
var wrappers = []string{"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "base_layer"}

// adapted begins all names of a model inside a PEFT model.
const adapted = "base_model.model."

// unwrapped is a name without what wrappers add.
func unwrapped(name string) string {
	name = strings.TrimPrefix(name, adapted)
	if !slices.ContainsFunc(wrappers, func(w string) bool { return strings.Contains(name, w) }) {
		return name
	}
	parts := strings.Split(name, ".")
	kept := slices.DeleteFunc(parts, func(part string) bool { return slices.Contains(wrappers, part) })
	return strings.TrimPrefix(strings.Join(kept, "."), adapted)
}

// containers are parts that say only that a model is inside another.
var containers = []string{"model", "language_model", "text_model", "transformer", "backbone"}

// bare is an unwrapped name without the containers before its first number. The parameter and its module
// are no containers.
func bare(name string) string {
	parts := strings.Split(unwrapped(name), ".")
	head := lead(parts)
	kept := slices.DeleteFunc(slices.Clone(parts[:head]), func(part string) bool { return slices.Contains(containers, part) })
	return strings.Join(append(kept, parts[head:]...), ".")
}

// lead counts the parts before the first number, or before the last module.
func lead(parts []string) int {
	for i, part := range parts {
		if isNumber(part) {
			return i
		}
	}
	return max(0, len(parts)-2)
}

func isNumber(part string) bool {
	for i := range len(part) {
		if part[i] < '0' || part[i] > '9' {
			return false
		}
	}
	return part != ""
}

// common is a bare name with one word for each kind of module.
func common(name string) string {
	name = "." + bare(name) + "."
	for _, s := range synonyms {
		name = strings.ReplaceAll(name, s.word, s.common)
	}
	return strings.Trim(name, ".")
}

// synonyms are words for the same module, in the order in which they are replaced: those that transformers 5.23
// converts into one another (conversion_mapping.py) where no element moves. Its words for the rotary
// projections of other programs (wq, wk) are not among them: their rows have another order.
var synonyms = []struct{ word, common string }{
	// towers
	{".vision_tower.", ".vision."}, {".vision_model.", ".vision."}, {".vision_encoder.", ".vision."}, {".visual.", ".vision."}, {".vit.", ".vision."},
	{".vision.vision.", ".vision."}, {".mlp_AR.", ".projector."},
	// heads and embeddings
	{".embed_out.", ".lm_head."}, {".head.", ".lm_head."}, {".word_embeddings.", ".embed_tokens."},
	// feed-forward layers, routers and experts
	{".block_sparse_moe.", ".mlp."}, {".feed_forward.", ".mlp."}, {".ffn.", ".mlp."},
	{".w1.", ".gate_proj."}, {".w2.", ".down_proj."}, {".w3.", ".up_proj."},
	{".shared_expert.", ".shared_experts."}, {".shared_mlp.", ".shared_experts."},
	{".router.layer.", ".router."}, {".router.gate.", ".router."}, {".mlp.router.", ".mlp.gate."},
	{".mlp.input_linear.weight.", ".mlp.experts.gate_up_proj."}, {".mlp.output_linear.weight.", ".mlp.experts.down_proj."},
	{".experts.fc1.weight.", ".experts.gate_up_proj."}, {".experts.fc2.weight.", ".experts.down_proj."},
	{".gate.moe_statics.", ".moe_statics."}, {".experts.e_score_correction_bias.", ".gate.e_score_correction_bias."},
	{".mlp.e_score_correction_bias.", ".mlp.gate.e_score_correction_bias."},
	{".gate.expert_bias.", ".gate.e_score_correction_bias."}, {".mlp.expert_bias.", ".mlp.gate.e_score_correction_bias."},
	// attention
	{".self_attn.", ".attention."}, {".attn.", ".attention."}, {".attention.self.", ".attention."}, {".attention.attention.", ".attention."},
	{".attention.query.", ".attention.q_proj."}, {".attention.key.", ".attention.k_proj."}, {".attention.value.", ".attention.v_proj."},
	{".to_q.", ".q_proj."}, {".to_k.", ".k_proj."}, {".to_v.", ".v_proj."}, {".to_out.", ".o_proj."},
	{".attention.dense.", ".attention.o_proj."}, {".attention.output.dense.", ".attention.o_proj."},
	{".norm_q.", ".q_norm."}, {".norm_k.", ".k_norm."}, {".q_layernorm.", ".q_norm."}, {".k_layernorm.", ".k_norm."},
	{".attention_sink_bias.", ".sinks."}, {".softmax_offset.", ".sinks."}, {".attn_sink.", ".sinks."},
	{".attention.forget_gate.", ".attention."},
	// blocks
	{".encoder.layer.", ".layers."}, {".intermediate.dense.", ".mlp.fc1."}, {".output.dense.", ".mlp.fc2."},
	{".attention_layer_norm.", ".input_layernorm."}, {".attention_norm.", ".input_layernorm."}, {".attn_norm.", ".input_layernorm."},
	{".feedforward_layer_norm.", ".post_attention_layernorm."}, {".ffn_norm.", ".post_attention_layernorm."},
	{".hc_attn_fn.", ".attn_hc.fn."}, {".hc_attn_base.", ".attn_hc.base."}, {".hc_attn_scale.", ".attn_hc.scale."},
	{".hc_ffn_fn.", ".ffn_hc.fn."}, {".hc_ffn_base.", ".ffn_hc.base."}, {".hc_ffn_scale.", ".ffn_hc.scale."},
}
