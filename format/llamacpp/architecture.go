package llamacpp

import (
	"slices"
	"strings"
)

// Architecture is one kind of model: what its tensors are called on both sides, and what is done to them.
type Architecture struct {
	Name  string // in general.architecture
	Model string // model_type in config.json
	Class string // in its architectures

	outside []row   // tensors that do not belong to a layer
	layer   []row   // tensors of each layer
	pairs   bool    // rows of queries and keys are ordered by the pairs that a rotation turns; else by halves, as the Hub has all
	shift   float32 // added to the weights of norms
	moe     bool    // has experts
}

// dim is a size that shapes are made of.
type dim uint8

const (
	embedding dim = iota
	vocabulary
	forward       // inside of a feed-forward network
	queries       // of all heads
	keys          // of all heads that have keys and values
	head          // of one
	experts       // how many
	expertForward // inside of an expert
	sharedForward // inside of the expert that all tokens go through
	one
	dims
)

// sizes are a model's.
type sizes [dims]int64

// presence says when a tensor is there. Of one kind all are, in every layer, or none.
type presence uint8

const (
	always      presence = iota
	untied               // the head has weights of its own
	inputBias            // of queries, keys and values
	outputBias           // of what attention gives
	forwardBias          // of feed-forward networks
	presences
)

// treatment is what becomes of values.
type treatment uint8

const (
	asItIs     treatment = iota
	norm                 // in float32, shifted
	inFloat32            // llama.cpp computes with it in no other type
	queryHeads           // rows are reordered within each head
	keyHeads
	stacked // of all experts in one tensor there, and each by itself in the Hub
)

// row is a tensor. The name in GGUF stands behind blk.N. and that of the Hub behind model.layers.N., in layers; of experts, that of
// the Hub has a # for the number.
type row struct {
	gguf, hub string
	shape     []dim
	when      presence
	how       treatment
}

// expert is the number of an expert in a name.
const expert = "#"

// list is some rows in one.
func list(rows ...[]row) []row { return slices.Concat(rows...) }

var (
	around = []row{
		{"token_embd.weight", "model.embed_tokens.weight", []dim{vocabulary, embedding}, always, asItIs},
		{"output_norm.weight", "model.norm.weight", []dim{embedding}, always, norm},
	}
	ownHead = []row{{"output.weight", "lm_head.weight", []dim{vocabulary, embedding}, untied, asItIs}}

	attention = []row{
		{"attn_norm.weight", "input_layernorm.weight", []dim{embedding}, always, norm},
		{"attn_q.weight", "self_attn.q_proj.weight", []dim{queries, embedding}, always, queryHeads},
		{"attn_k.weight", "self_attn.k_proj.weight", []dim{keys, embedding}, always, keyHeads},
		{"attn_v.weight", "self_attn.v_proj.weight", []dim{keys, embedding}, always, asItIs},
		{"attn_output.weight", "self_attn.o_proj.weight", []dim{embedding, queries}, always, asItIs},
	}
	qkvBias = []row{
		{"attn_q.bias", "self_attn.q_proj.bias", []dim{queries}, inputBias, queryHeads},
		{"attn_k.bias", "self_attn.k_proj.bias", []dim{keys}, inputBias, keyHeads},
		{"attn_v.bias", "self_attn.v_proj.bias", []dim{keys}, inputBias, asItIs},
	}
	oBias     = []row{{"attn_output.bias", "self_attn.o_proj.bias", []dim{embedding}, outputBias, asItIs}}
	headNorms = []row{
		{"attn_q_norm.weight", "self_attn.q_norm.weight", []dim{head}, always, norm},
		{"attn_k_norm.weight", "self_attn.k_norm.weight", []dim{head}, always, norm},
	}
	oneNorm  = []row{{"ffn_norm.weight", "post_attention_layernorm.weight", []dim{embedding}, always, norm}}
	allNorms = []row{ // Gemma 2 and 3 have one before and one behind
		{"post_attention_norm.weight", "post_attention_layernorm.weight", []dim{embedding}, always, norm},
		{"ffn_norm.weight", "pre_feedforward_layernorm.weight", []dim{embedding}, always, norm},
		{"post_ffw_norm.weight", "post_feedforward_layernorm.weight", []dim{embedding}, always, norm},
	}
	mlp = []row{
		{"ffn_gate.weight", "mlp.gate_proj.weight", []dim{forward, embedding}, always, asItIs},
		{"ffn_up.weight", "mlp.up_proj.weight", []dim{forward, embedding}, always, asItIs},
		{"ffn_down.weight", "mlp.down_proj.weight", []dim{embedding, forward}, always, asItIs},
	}
	mlpBias = []row{
		{"ffn_gate.bias", "mlp.gate_proj.bias", []dim{forward}, forwardBias, asItIs},
		{"ffn_up.bias", "mlp.up_proj.bias", []dim{forward}, forwardBias, asItIs},
		{"ffn_down.bias", "mlp.down_proj.bias", []dim{embedding}, forwardBias, asItIs},
	}
	mixtralExperts = []row{
		{"ffn_gate_inp.weight", "block_sparse_moe.gate.weight", []dim{experts, embedding}, always, inFloat32},
		{"ffn_gate_exps.weight", "block_sparse_moe.experts.#.w1.weight", []dim{experts, forward, embedding}, always, stacked},
		{"ffn_down_exps.weight", "block_sparse_moe.experts.#.w2.weight", []dim{experts, embedding, forward}, always, stacked},
		{"ffn_up_exps.weight", "block_sparse_moe.experts.#.w3.weight", []dim{experts, forward, embedding}, always, stacked},
	}
	qwenExperts = []row{
		{"ffn_gate_inp.weight", "mlp.gate.weight", []dim{experts, embedding}, always, inFloat32},
		{"ffn_gate_exps.weight", "mlp.experts.#.gate_proj.weight", []dim{experts, expertForward, embedding}, always, stacked},
		{"ffn_up_exps.weight", "mlp.experts.#.up_proj.weight", []dim{experts, expertForward, embedding}, always, stacked},
		{"ffn_down_exps.weight", "mlp.experts.#.down_proj.weight", []dim{experts, embedding, expertForward}, always, stacked},
	}
	sharedExpert = []row{
		{"ffn_gate_inp_shexp.weight", "mlp.shared_expert_gate.weight", []dim{one, embedding}, always, inFloat32},
		{"ffn_gate_shexp.weight", "mlp.shared_expert.gate_proj.weight", []dim{sharedForward, embedding}, always, asItIs},
		{"ffn_up_shexp.weight", "mlp.shared_expert.up_proj.weight", []dim{sharedForward, embedding}, always, asItIs},
		{"ffn_down_shexp.weight", "mlp.shared_expert.down_proj.weight", []dim{embedding, sharedForward}, always, asItIs},
	}
)

// architectures are all that are known. Models with experts that GGUF calls llama are mixtral in the Hub.
var architectures = []*Architecture{
	{Name: "llama", Model: "llama", Class: "LlamaForCausalLM", pairs: true,
		outside: list(around, ownHead), layer: list(attention, qkvBias, oBias, oneNorm, mlp, mlpBias)},
	{Name: "llama", Model: "mixtral", Class: "MixtralForCausalLM", pairs: true, moe: true,
		outside: list(around, ownHead), layer: list(attention, oneNorm, mixtralExperts)},
	{Name: "qwen2", Model: "qwen2", Class: "Qwen2ForCausalLM",
		outside: list(around, ownHead), layer: list(attention, needed(qkvBias), oneNorm, mlp)},
	{Name: "qwen3", Model: "qwen3", Class: "Qwen3ForCausalLM",
		outside: list(around, ownHead), layer: list(attention, headNorms, oneNorm, mlp)},
	{Name: "qwen2moe", Model: "qwen2_moe", Class: "Qwen2MoeForCausalLM", moe: true,
		outside: list(around, ownHead), layer: list(attention, needed(qkvBias), oneNorm, qwenExperts, sharedExpert)},
	{Name: "qwen3moe", Model: "qwen3_moe", Class: "Qwen3MoeForCausalLM", moe: true,
		outside: list(around, ownHead), layer: list(attention, headNorms, oneNorm, qwenExperts)},
	{Name: "gemma", Model: "gemma", Class: "GemmaForCausalLM", shift: 1,
		outside: around, layer: list(attention, oneNorm, mlp)},
	{Name: "gemma2", Model: "gemma2", Class: "Gemma2ForCausalLM", shift: 1,
		outside: around, layer: list(attention, allNorms, mlp)},
	{Name: "gemma3", Model: "gemma3_text", Class: "Gemma3ForCausalLM", shift: 1,
		outside: list(around, ownHead), layer: list(attention, headNorms, allNorms, mlp)},
}

// needed are rows that are always there.
func needed(rows []row) []row {
	rows = slices.Clone(rows)
	for i := range rows {
		rows[i].when = always
	}
	return rows
}

// Known lists the architectures for messages, by their names in GGUF.
func Known() string {
	var names []string
	for _, a := range architectures {
		if !slices.Contains(names, a.Name) {
			names = append(names, a.Name)
		}
	}
	return strings.Join(names, ", ")
}

// named finds the architecture of a name in GGUF, with experts or without.
func named(name string, moe bool) *Architecture {
	i := slices.IndexFunc(architectures, func(a *Architecture) bool { return a.Name == name && a.moe == moe })
	if i < 0 {
		return nil
	}
	return architectures[i]
}
