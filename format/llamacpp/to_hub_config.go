package llamacpp

import (
	"math"

	"weld/format"
	"weld/format/gguf"
)

// configure writes what config.json says, but for the type of the tensors. transformers 4 and 5 read it.
func (h *Hub) configure(m *metadata, scaling object) error {
	d := h.mapping
	if d.Name == "llama" && !d.moe && d.has(inputBias) != d.has(outputBias) {
		return m.refuse(format.KindNames, "it has biases in attention of queries, keys and values, or of the output, but not of both: %s has all of them or none", d.Model)
	}
	c := object{
		{"architectures", []string{d.Class}},
		{"model_type", d.Model},
		{"vocab_size", d.sizes[vocabulary]},
		{"hidden_size", d.sizes[embedding]},
		{"intermediate_size", d.sizes[forward]},
		{"num_hidden_layers", d.layers},
		{"num_attention_heads", d.heads},
		{"num_key_value_heads", d.groups},
		{"head_dim", d.sizes[head]},
		{"max_position_embeddings", m.size("context_length", 0)},
		{"rms_norm_eps", single(m.float("attention.layer_norm_rms_epsilon", math.NaN()))},
		{"rope_theta", single(m.float("rope.freq_base", defaultBase))},
		{"rope_scaling", nil},
		{"tie_word_embeddings", !d.has(untied)},
	}
	if scaling != nil {
		c.set("rope_scaling", scaling)
	}
	h.configureKind(m, &c)
	h.configureTokens(&c)
	m.checkRest()
	if m.err != nil {
		return m.err
	}
	h.config = c
	return nil
}

// configureKind adds what only some architectures have.
func (h *Hub) configureKind(m *metadata, c *object) {
	d := h.mapping
	switch d.Model {
	case "llama":
		c.set("hidden_act", "silu")
		c.set("attention_bias", d.has(inputBias))
		c.set("mlp_bias", d.has(forwardBias))
	case "mixtral":
		c.set("hidden_act", "silu")
		c.set("sliding_window", nil)
		c.set("num_local_experts", d.sizes[experts])
		c.set("num_experts_per_tok", m.size("expert_used_count", 0))
		m.only("expert_weights_norm", 1)
	case "qwen2":
		c.set("hidden_act", "silu")
		c.set("use_sliding_window", false)
	case "qwen3":
		c.set("hidden_act", "silu")
		c.set("attention_bias", false)
		c.set("use_sliding_window", false)
	case "qwen2_moe", "qwen3_moe":
		h.configureExperts(m, c)
	case "gemma", "gemma2", "gemma3_text":
		h.configureGemma(m, c)
	}
}

// configureExperts adds what Qwen's models with experts have. llama.cpp scales the chosen experts of qwen3moe to a sum of 1, and never those of qwen2moe.
func (h *Hub) configureExperts(m *metadata, c *object) {
	d := h.mapping
	c.set("hidden_act", "silu")
	c.set("use_sliding_window", false)
	c.set("decoder_sparse_step", 1)
	c.set("mlp_only_layers", []int{})
	c.set("num_experts", d.sizes[experts])
	c.set("num_experts_per_tok", m.size("expert_used_count", 0))
	c.set("moe_intermediate_size", d.sizes[expertForward])
	normed := d.Model == "qwen3_moe"
	c.set("norm_topk_prob", normed)
	if normed {
		c.set("attention_bias", false)
		m.only("expert_weights_norm", 1)
		return
	}
	c.set("qkv_bias", true)
	c.set("shared_expert_intermediate_size", d.sizes[sharedForward])
	m.only("expert_weights_norm", 0)
}

// Layers of Gemma's largest models, whose attention is scaled in another way (gemma2.cpp, gemma3.cpp).
const gemma2Largest, gemma3Largest = 46, 62

// configureGemma adds what Gemma has.
func (h *Hub) configureGemma(m *metadata, c *object) {
	d := h.mapping
	c.set("hidden_act", "gelu_pytorch_tanh")
	c.set("hidden_activation", "gelu_pytorch_tanh")
	c.set("attention_bias", false)
	if d.Model == "gemma" {
		return
	}
	period, largest, window := int64(2), int64(gemma2Largest), int64(4096)
	if d.Model == "gemma3_text" {
		period, largest, window = 6, gemma3Largest, -1
		if _, ok := m.get("attention.sliding_window"); !ok {
			period = 1
		}
		if _, ok := m.get("rope.freq_base"); !ok {
			m.fail("rope.freq_base", "is not there, and models of gemma3 have it")
		}
		c.set("rope_local_base_freq", single(m.float("rope.freq_base_swa", defaultBase)))
		c.set("attn_logit_softcapping", nil)
		c.set("use_bidirectional_attention", false)
	} else {
		c.set("attn_logit_softcapping", single(m.float("attn_logit_softcapping", 50)))
		m.only("rope.freq_base_swa", m.float("rope.freq_base", defaultBase))
	}
	c.set("final_logit_softcapping", nil)
	if x := m.float("final_logit_softcapping", map[bool]float64{true: 30}[d.Model == "gemma2"]); x != 0 {
		c.set("final_logit_softcapping", single(x))
	}
	scale := d.sizes[head]
	if d.layers == largest {
		scale = d.sizes[embedding] / d.heads
	}
	c.set("query_pre_attn_scalar", scale)
	if period > 1 {
		window = m.size("attention.sliding_window", max(window, 0))
		c.set("sliding_window", window)
	}
	c.set("layer_types", h.layerTypes(m, period))
}

// layerTypes says which layers look at a window of tokens, and which at all: of each period, the last one.
func (h *Hub) layerTypes(m *metadata, period int64) []string {
	types := make([]string, min(h.mapping.layers, 1<<16)) // all of them have been found
	slides := make([]bool, len(types))
	const pattern = "attention.sliding_window_pattern"
	v, ok := m.get(pattern)
	if ok && v.Type != gguf.Array {
		period = m.size(pattern, 1)
	}
	for i := range slides {
		slides[i] = int64(i+1)%period != 0
	}
	if ok && v.Type == gguf.Array {
		if v.Len != int64(len(types)) || v.Of == gguf.String {
			m.fail(pattern, "has %d elements, and there are %d layers", v.Len, len(types))
			return nil
		}
		if err := h.file.Each(v, func(i int64, element []byte) error {
			slides[i] = element[0] != 0
			return nil
		}); err != nil && m.err == nil {
			m.err = err
		}
	}
	for i, s := range slides {
		types[i] = map[bool]string{true: "sliding_attention", false: "full_attention"}[s]
	}
	return types
}

// checkRest refuses what would change what a model computes, and has no word in its configuration.
func (m *metadata) checkRest() {
	m.only("attention.causal", 1)
	m.only("use_parallel_residual", 0)
	m.only("attention.scale", 0)
	m.only("nextn_predict_layers", 0)
	m.only("leading_dense_block_count", 0)
	m.only("expert_gating_func", 0, 1) // softmax
	m.only("expert_weights_scale", 0, 1)
	m.only("expert_shared_count", 0)
	m.only("expert_group_count", 0, 1)
	m.only("expert_group_used_count", 0, 1)
	for _, scale := range []string{"embedding_scale", "residual_scale", "logit_scale"} {
		m.only(scale, 0, 1)
	}
	m.only("final_logit_softcapping", 0)
	m.only("attn_logit_softcapping", 0)
	m.only("attention.sliding_window", 0)
	m.only("attention.max_alibi_bias", 0)
	m.only("attention.clamp_kqv", 0)
	m.unread()
}
