package llamacpp

import (
	"strings"
	"testing"

	"weld/format"
)

// What the metadata says and the Hub has no word for, what contradicts itself, and what is not there is refused, by its key.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		keys  map[string]any
		kind  format.Kind
		says  string
		names []string
	}{
		{"llama", map[string]any{"general.architecture": "falcon"}, format.KindUnsupported, `its architecture is "falcon", of which weld does not know what the Hub calls its tensors; it knows llama, qwen2, qwen3, qwen2moe, qwen3moe, gemma, gemma2, gemma3;`, nil},
		{"llama", map[string]any{"general.architecture": gone{}}, format.KindUnsupported, `its architecture is ""`, nil},
		{"llama", map[string]any{"general.architecture": 7}, format.KindUnsupported, `its architecture is ""`, nil},
		{"llama", map[string]any{"general.type": "adapter"}, format.KindUnsupported, "general.type is adapter, and a model was expected", nil},
		{"llama", map[string]any{"general.type": 1}, format.KindUnsupported, "general.type is 1", nil},
		{"llama", map[string]any{"llama.block_count": gone{}}, format.KindMetadata, "llama.block_count is not there, and models of llama have it", nil},
		{"llama", map[string]any{"llama.block_count": 0}, format.KindMetadata, "llama.block_count is 0, and no size", nil},
		{"llama", map[string]any{"llama.block_count": 1}, format.KindNames, `"blk.1.attn_norm.weight": no model of llama in the Hub has what this is`, nil},
		{"llama", map[string]any{"llama.block_count": 3}, format.KindNames, `"blk.2.attn_norm.weight": llama has such a tensor, and it is not there`, nil},
		{"llama", map[string]any{"llama.block_count": 1 << 30}, format.KindNames, `"blk.2.attn_norm.weight"`, nil},
		{"llama", map[string]any{"llama.block_count": -1}, format.KindMetadata, "llama.block_count is 4294967295, and no size", nil},
		{"llama", map[string]any{"llama.block_count": "two"}, format.KindMetadata, "llama.block_count is two, and no number", nil},
		{"llama", map[string]any{"llama.block_count": 2.5}, format.KindMetadata, "llama.block_count is 2.5, and no number", nil},
		{"llama", map[string]any{"llama.attention.head_count": gone{}}, format.KindMetadata, "llama.attention.head_count is not there", nil},
		{"llama", map[string]any{"llama.attention.head_count": 8}, format.KindShape, `"blk.0.attn_q.weight": its shape is [8 8], and [16 8] follows from what is said of the model (2 layers of 8, 8 heads and 2 groups of 2, a vocabulary of 73)`, nil},
		{"llama", map[string]any{"llama.attention.head_count": 3}, format.KindMetadata, "llama.attention.head_count_kv is 2, which does not divide 3 heads", nil},
		{"llama", map[string]any{"llama.attention.head_count": 1 << 30, "llama.attention.head_count_kv": 1 << 30, "llama.attention.key_length": 1 << 30, "llama.attention.value_length": 1 << 30, "llama.rope.dimension_count": 1 << 30}, format.KindShape, "blk.0.attn_q.weight", nil},
		{"llama", map[string]any{"llama.attention.head_count_kv": 4}, format.KindShape, "blk.0.attn_k.weight", nil},
		{"llama", map[string]any{"llama.attention.head_count_kv": []int{2, 1}}, format.KindMetadata, "llama.attention.head_count_kv is [2, 1]: layers of different sizes", nil},
		{"llama", map[string]any{"llama.attention.head_count_kv": []int{}}, format.KindMetadata, "llama.attention.head_count_kv is [], and no number", nil},
		{"llama", map[string]any{"llama.attention.head_count_kv": []string{"a"}}, format.KindMetadata, "and no number", nil},
		{"llama", map[string]any{"llama.attention.value_length": 4}, format.KindMetadata, "llama.attention.value_length is 4, and that of keys 2", nil},
		{"llama", map[string]any{"llama.attention.key_length": 1, "llama.attention.value_length": 1, "llama.rope.dimension_count": 1}, format.KindMetadata, "llama.attention.key_length is 1, and rows of a head are turned in pairs", nil},
		{"llama", map[string]any{"llama.rope.dimension_count": 1}, format.KindMetadata, "llama.rope.dimension_count is 1, and heads have 2 rows", nil},
		{"llama", map[string]any{"llama.embedding_length": 16}, format.KindShape, "token_embd.weight", nil},
		{"llama", map[string]any{"llama.feed_forward_length": gone{}}, format.KindMetadata, "llama.feed_forward_length is not there", nil},
		{"llama", map[string]any{"llama.feed_forward_length": []int{12, 16}}, format.KindMetadata, "layers of different sizes", nil},
		{"llama", map[string]any{"llama.feed_forward_length": 13}, format.KindShape, "blk.0.ffn_gate.weight", nil},
		{"llama", map[string]any{"llama.context_length": gone{}}, format.KindMetadata, "llama.context_length is not there", nil},
		{"llama", map[string]any{"llama.attention.layer_norm_rms_epsilon": gone{}}, format.KindMetadata, "llama.attention.layer_norm_rms_epsilon is not there", nil},
		{"llama", map[string]any{"llama.attention.layer_norm_rms_epsilon": "small"}, format.KindMetadata, "is small, and no number", nil},
		{"llama", map[string]any{"llama.vocab_size": 74}, format.KindMetadata, "llama.vocab_size is 74, and embeddings have 73 rows", nil},
		{"llama", map[string]any{"tokenizer.ggml.tokens": []string{"a"}}, format.KindMetadata, "tokenizer.ggml.tokens has 1 elements, and embeddings have 73 rows", nil},
		{"llama", map[string]any{"llama.expert_count": 3, "llama.expert_used_count": 2}, format.KindNames, `"blk.0.ffn_gate_inp.weight": mixtral has such a tensor, and it is not there`, nil},
		{"llama", map[string]any{"llama.expert_count": "many"}, format.KindMetadata, "llama.expert_count is many, and no number of experts", nil},
		{"llama", map[string]any{"llama.expert_used_count": 2}, format.KindMetadata, "llama.expert_used_count is 2", nil},
		{"llama", map[string]any{"llama.attention.scale": 0.25}, format.KindMetadata, "llama.attention.scale is 0.25: configurations of llama in the Hub have no word for it", nil},
		{"llama", map[string]any{"llama.logit_scale": 2.0}, format.KindMetadata, "llama.logit_scale is 2", nil},
		{"llama", map[string]any{"llama.attention.causal": false}, format.KindMetadata, "llama.attention.causal is false", nil},
		{"llama", map[string]any{"llama.attention.sliding_window": 128}, format.KindMetadata, "llama.attention.sliding_window is 128", nil},
		{"llama", map[string]any{"llama.new_trick": true}, format.KindMetadata, "llama.new_trick is true, which weld does not know of models of llama: it might change what the model computes", nil},
		{"llama", map[string]any{"llama.rope.scaling.type": "longrope", "llama.rope.scaling.factor": 2.0}, format.KindMetadata, `llama.rope.scaling.type is "longrope", which weld does not know; it knows none, linear and yarn`, nil},
		{"llama", map[string]any{"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 0.5}, format.KindMetadata, "llama.rope.scaling.factor is 0.5, and rotations are stretched by 1 or more", nil},
		{"llama", map[string]any{"llama.rope.scaling.type": "yarn", "llama.rope.scaling.factor": 4.0}, format.KindMetadata, "llama.rope.scaling.original_context_length is not there", nil},
		{"llama", map[string]any{"llama.rope.scaling.attn_factor": 1.5}, format.KindMetadata, "llama.rope.scaling.attn_factor is 1.5", nil},
		{"llama", nil, format.KindNames, `"blk.1.ffn_up.bias": it is not there, and "blk.1.ffn_down.bias" is: llama has all of them or none (biases)`, []string{"blk.1.ffn_up.bias", "blk.1.ffn_xx.bias"}},
		{"llama3", nil, format.KindNames, `"rope_strange.tens": no model of llama in the Hub has what this is; converted into a *.safetensors, its tensors keep the names`, []string{"rope_freqs.weight", "rope_strange.tens"}},
		{"llama", nil, format.KindNames, `"blk.0.attn_k.weight": llama has such a tensor, and it is not there`, []string{"blk.0.attn_k.weight", "blk.0.attn_x.weight"}},
		{"llama3", map[string]any{"llama.rope.freq_base": 10000.0}, format.KindMetadata, `"rope_freqs.weight": its 4 divisors (up to 8) are none that Llama 3's formula gives`, nil},
		{"llama3", map[string]any{"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 2.0}, format.KindMetadata, `rotations are divided by it, and llama.rope.scaling.type is "linear": the Hub has one of both`, nil},
		{"llama3", map[string]any{"llama.attention.key_length": 4, "llama.attention.value_length": 4, "llama.rope.dimension_count": 4, "llama.attention.head_count": 8, "llama.attention.head_count_kv": 4}, format.KindShape, "rope_freqs.weight", nil},
		{"mixtral", map[string]any{"llama.expert_count": 0, "llama.expert_used_count": 0}, format.KindNames, "blk.0.ffn_gate.weight", nil},
		{"mixtral", map[string]any{"llama.expert_count": 4}, format.KindShape, "blk.0.ffn_gate_inp.weight", nil},
		{"mixtral", map[string]any{"llama.expert_used_count": 4}, format.KindMetadata, "llama.expert_used_count is 4 of 3 experts", nil},
		{"mixtral", map[string]any{"llama.expert_gating_func": 2}, format.KindMetadata, "llama.expert_gating_func is 2", nil},
		{"mixtral", map[string]any{"llama.expert_weights_scale": 2.5}, format.KindMetadata, "llama.expert_weights_scale is 2.5", nil},
		{"qwen2", map[string]any{"qwen2.pooling_type": 1}, format.KindMetadata, "qwen2.pooling_type is 1, which weld does not know", nil},
		{"qwen2", map[string]any{"qwen2.expert_count": 4}, format.KindUnsupported, "qwen2.expert_count: models of qwen2 are known without experts only", nil},
		{"qwen2", nil, format.KindNames, `"blk.0.attn_q.bias": qwen2 has such a tensor, and it is not there`, []string{"blk.0.attn_q.bias", "blk.0.attn_q.bais"}},
		{"qwen2moe", map[string]any{"qwen2moe.expert_count": gone{}}, format.KindUnsupported, "qwen2moe.expert_count: models of qwen2moe are known with experts only", nil},
		{"qwen2moe", map[string]any{"qwen2moe.expert_feed_forward_length": 8}, format.KindShape, "blk.0.ffn_gate_exps.weight", nil},
		{"qwen2moe", map[string]any{"qwen2moe.expert_weights_norm": true}, format.KindMetadata, "qwen2moe.expert_weights_norm is true", nil},
		{"qwen3moe", map[string]any{"qwen3moe.expert_weights_norm": false}, format.KindMetadata, "qwen3moe.expert_weights_norm is false", nil},
		{"qwen3moe", map[string]any{"qwen3moe.leading_dense_block_count": 1}, format.KindMetadata, "qwen3moe.leading_dense_block_count is 1", nil},
		{"qwen3moe", map[string]any{"qwen3moe.expert_count": 1 << 29}, format.KindShape, "blk.0.ffn_gate_inp.weight", nil},
		{"gemma2", map[string]any{"gemma2.rope.freq_base_swa": 500.0}, format.KindMetadata, "gemma2.rope.freq_base_swa is 500", nil},
		{"gemma3", map[string]any{"gemma3.rope.freq_base": gone{}}, format.KindMetadata, "gemma3.rope.freq_base is not there", nil},
		{"gemma3", map[string]any{"gemma3.attention.sliding_window_pattern": []int{1, 0}}, format.KindMetadata, "gemma3.attention.sliding_window_pattern has 2 elements, and there are 7 layers", nil},
		{"gemma3", map[string]any{"gemma3.attn_logit_softcapping": 50.0}, format.KindMetadata, "gemma3.attn_logit_softcapping is 50", nil},
	} {
		file := edited(t, c.name, c.keys, c.names...)
		_, err := ToHub(file, file)
		if err == nil || format.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s with %v %v: %s: %v\nwant %s: %s", c.name, c.keys, c.names, format.KindOf(err), err, c.kind, c.says)
		}
	}
}
