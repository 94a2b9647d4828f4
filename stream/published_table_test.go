package stream

import (
	"strings"

	"weld/format"
)

// facts are what is known of a recipe's merge. Where a number is 0, it is 39 fused tensors, none
// copied, 24 rows.
type facts struct {
	layers        int64 // of the output, where slices say
	fused, copied int
	dtype         format.DType // of all tensors
	rows          int64        // of the embeddings
	notes         []string     // parts of what the plan says
	refused       bool         // by mergekit 0.1.5; older ones took it
	// values of parameters: "t TENSOR NUMBER", or "weight MODEL TENSOR NUMBER";
	// sources: "from TENSOR MODEL ITS-TENSOR"
	values []string
}

// inert are parameters that mergekit resolves for task_arithmetic too, where they do nothing.
var inert = map[string]bool{"density": true, "rescale": true}

// published is the table, by the recipes' names. The numbers are worked out by hand: layer i of
// four lies at t = i/3 of a gradient.
var published = map[string]facts{
	"arcee-fusion": {dtype: format.BF16},
	"breadcrumbs":  {dtype: format.F16, values: []string{"gamma lab/code model.norm.weight 0.01", "density lab/instruct model.norm.weight 0.9"}},
	"breadcrumbs-ties": {dtype: format.BF16, values: []string{
		"weight lab/code model.layers.1.mlp.up_proj.weight 0.165", "gamma lab/code lm_head.weight 0.02", "weight lab/instruct lm_head.weight 0.33"}},
	"breadcrumbs-ties-zeroed": {dtype: format.BF16, notes: []string{"breadcrumbs-ties-zeroed.yml:10: random_seed has no effect here"}, values: []string{
		"weight lab/math lm_head.weight 0", "weight lab/math model.layers.2.self_attn.o_proj.weight 0",
		"weight lab/instruct model.layers.2.mlp.down_proj.weight 0", "weight lab/math model.layers.2.self_attn.q_proj.weight 0.42"}},
	"chat-template": {dtype: format.BF16},
	"dare-linear":   {dtype: format.F16, values: []string{"lambda model.norm.weight 0.9", "density lab/story model.norm.weight 0.5"}},
	"dare-ties-base-listed": {dtype: format.BF16, values: []string{
		"density lab/instruct model.norm.weight 0.53", "weight lab/instruct model.norm.weight 0.4"}},
	"dare-ties-base-weighted": {dtype: format.BF16, values: []string{
		"density lab/story lm_head.weight 0.3", "weight lab/code lm_head.weight 0.2"}},
	"dare-ties-dense": {dtype: format.BF16, values: []string{"weight lab/math model.norm.weight 0.846"}},
	"dare-ties-evolved": {layers: 4, dtype: format.BF16, values: []string{
		"weight lab/instruct model.layers.3.mlp.up_proj.weight -0.45369921781118544", "density lab/math model.layers.2.mlp.up_proj.weight 0.75",
		"weight lab/math model.embed_tokens.weight 0.8971381657317269", "weight lab/math model.norm.weight 0.05"}},
	"dare-ties-gradients": {dtype: format.BF16, notes: []string{"name has no effect here"}, values: []string{
		"weight lab/instruct model.layers.0.mlp.up_proj.weight 0.22", "weight lab/instruct model.layers.1.mlp.up_proj.weight 0.113",
		"weight lab/code model.layers.3.mlp.up_proj.weight 0.22", "density lab/code model.layers.1.mlp.up_proj.weight 0.4666666666666667"}},
	"della": {dtype: format.BF16, values: []string{"epsilon lab/story model.norm.weight 0.4"}},
	"della-linear-filters": {dtype: format.BF16, values: []string{
		"weight lab/code model.layers.1.mlp.up_proj.weight 0.3", "weight lab/code model.layers.3.mlp.up_proj.weight 0.2",
		"weight lab/code model.layers.1.self_attn.q_proj.weight 0.3", "weight lab/instruct model.layers.1.self_attn.q_proj.weight 0.25"}},
	"della-linear-per-model": {dtype: format.BF16, values: []string{"epsilon lab/math model.norm.weight 0.3", "epsilon lab/code model.norm.weight 0.4"}},
	"della-module": {layers: 4, dtype: format.BF16, values: []string{
		"weight lab/instruct model.layers.1.mlp.up_proj.weight 0.2", "weight lab/instruct model.layers.2.mlp.up_proj.weight 0.85",
		"weight lab/instruct lm_head.weight 0.9", "weight lab/story model.layers.1.mlp.up_proj.weight 0.9833333333333333"}},
	"document": {dtype: format.BF16, values: []string{"weight lab/code model.norm.weight 0.25", "density lab/code model.norm.weight 0.5"}},
	"frankenmerge-goliath": {layers: 9, fused: 84, dtype: format.F16, values: []string{
		"from model.layers.2.mlp.up_proj.weight lab/story model.layers.1.mlp.up_proj.weight",
		"from model.layers.8.mlp.up_proj.weight lab/instruct model.layers.3.mlp.up_proj.weight",
		"from model.norm.weight lab/instruct model.norm.weight"}},
	"frankenmerge-overlap": {layers: 6, copied: 57, dtype: format.BF16, values: []string{
		"from model.embed_tokens.weight lab/instruct model.embed_tokens.weight",
		"from model.layers.2.mlp.up_proj.weight lab/instruct model.layers.2.mlp.up_proj.weight",
		"from model.layers.3.mlp.up_proj.weight lab/code model.layers.1.mlp.up_proj.weight",
		"from lm_head.weight lab/code lm_head.weight"}},
	"frankenmerge-self": {layers: 6, copied: 57, dtype: format.BF16, values: []string{
		"from model.layers.3.input_layernorm.weight lab/base model.layers.1.input_layernorm.weight"}},
	"frankenmerge-single-layers": {layers: 6, copied: 57, dtype: format.BF16, values: []string{
		"from model.layers.1.mlp.up_proj.weight lab/code model.layers.0.mlp.up_proj.weight",
		"from model.layers.5.mlp.up_proj.weight lab/code model.layers.3.mlp.up_proj.weight"}},
	"karcher": {dtype: format.BF16, notes: []string{"karcher.yml:2: name has no effect here"}, values: []string{
		"max_iter model.norm.weight 1200", "tol model.norm.weight 1e-10"}},
	"legacy-model-parameters": {dtype: format.BF16, values: []string{"lambda model.norm.weight 1.1", "epsilon lab/math model.norm.weight 0.1"},
		notes: []string{":10: lambda has no effect here", ":11: normalize has no effect here", ":12: int8_mask has no effect here", ":18: rescale has no effect here"}},
	"linear":               {dtype: format.F16, values: []string{"weight lab/code model.norm.weight 0.3"}},
	"linear-global-weight": {dtype: format.BF16, values: []string{"weight lab/instruct model.norm.weight 0.5", "weight lab/code model.norm.weight 0.5"}},
	"linear-masked-ends": {dtype: format.BF16, values: []string{
		"weight lab/instruct model.layers.1.self_attn.v_proj.weight 0.6666666666666667", "weight lab/code model.layers.1.mlp.up_proj.weight 0.3333333333333333",
		"weight lab/instruct model.embed_tokens.weight 0", "weight lab/code model.layers.1.self_attn.q_proj.weight 1"}},
	"linear-slice-parameters": {layers: 4, dtype: format.BF16, values: []string{"weight lab/story model.norm.weight 0.8374437093734741"},
		notes: []string{":6: int8_mask has no effect: linear has no such parameter", ":9: merge_method has no effect here"}},
	"linear-slices": {layers: 4, dtype: format.BF16, values: []string{
		"weight lab/instruct model.layers.1.mlp.up_proj.weight 0.5", "weight lab/instruct model.layers.2.mlp.up_proj.weight 0.1",
		"weight lab/instruct model.layers.3.mlp.up_proj.weight 0.9", "weight lab/instruct lm_head.weight 0.1", "weight lab/math lm_head.weight 0"}},
	"linear-soup":      {dtype: format.BF16, values: []string{"weight lab/math model.norm.weight 3"}},
	"linear-stack":     {layers: 6, fused: 57, dtype: format.F16, values: []string{"weight lab/story model.embed_tokens.weight 0", "from model.layers.3.mlp.up_proj.weight lab/instruct model.layers.1.mlp.up_proj.weight"}},
	"lora-abliterated": {dtype: format.BF16},
	"lora-base-only":   {layers: 4, dtype: format.BF16, values: []string{"weight lab/instruct+lab/adapter model.norm.weight 1"}},
	"lora-mapping":     {dtype: format.F32, values: []string{"weight lab/base+lab/persona model.norm.weight 0.5"}},
	// Adapters change q and v of each layer; the rest is copied.
	"lora-passthrough": {fused: 8, copied: 31, dtype: format.BF16},
	"lora-sce":         {dtype: format.BF16, notes: []string{"normalize has no effect: sce has no such parameter"}, values: []string{"select_topk model.norm.weight 0.5"}},
	"lora-stack": {layers: 4, fused: 4, copied: 35, dtype: format.BF16, values: []string{
		"from model.layers.1.self_attn.q_proj.weight lab/base+lab/adapter model.layers.1.self_attn.q_proj.weight",
		"from model.layers.2.self_attn.q_proj.weight lab/base model.layers.2.self_attn.q_proj.weight"}},
	"lora-stock":              {dtype: format.BF16},
	"model-stock":             {dtype: format.BF16},
	"model-stock-filter-wise": {dtype: format.BF16, notes: []string{"weight has no effect: model_stock has no such parameter"}},
	"model-stock-slices":      {layers: 4, dtype: format.BF16},
	"multislerp": {dtype: format.BF16, values: []string{
		"weight lab/instruct model.layers.1.mlp.up_proj.weight 0.8933333333333333", "weight lab/story model.layers.1.mlp.up_proj.weight 0.1",
		"weight lab/code model.layers.3.mlp.up_proj.weight 0.85"}},
	"multislerp-base": {dtype: format.BF16, values: []string{"weight lab/code model.norm.weight 0.7", "eps model.norm.weight 1e-8"},
		notes: []string{"pad_to_multiple_of has no effect here", "int8_mask has no effect here: it belongs under parameters"}},
	"nearswap": {dtype: format.BF16, values: []string{"t model.norm.weight 0.0001"}},
	"nuslerp": {dtype: format.BF16, values: []string{
		"weight lab/instruct model.layers.1.mlp.up_proj.weight 0.23333333333333334", "weight lab/code model.norm.weight 0.9"}},
	"nuslerp-base":          {dtype: format.BF16, notes: []string{"int8_mask has no effect: nuslerp has no such parameter"}},
	"override-architecture": {dtype: format.BF16, notes: []string{"override_architecture has no effect here"}, values: []string{"weight lab/instruct model.norm.weight 0.7"}},
	"precedence": {layers: 4, dtype: format.BF16, values: []string{
		"weight lab/code model.layers.0.mlp.up_proj.weight 0.7", "weight lab/code model.layers.1.mlp.up_proj.weight 0.1",
		"weight lab/code model.layers.1.self_attn.q_proj.weight 0.4", "weight lab/code model.layers.2.self_attn.q_proj.weight 0.1",
		"lambda model.layers.0.self_attn.q_proj.weight 0.5", "lambda model.layers.1.self_attn.q_proj.weight 0.9"}},
	"pruned":          {layers: 2, copied: 21, dtype: format.BF16, values: []string{"from model.layers.1.mlp.up_proj.weight lab/math model.layers.3.mlp.up_proj.weight"}},
	"ram":             {dtype: format.BF16, values: []string{"epsilon model.norm.weight 0.001"}},
	"ramplus":         {dtype: format.F16, values: []string{"r model.norm.weight 0.2", "alpha model.norm.weight 0.3", "epsilon model.norm.weight 1e-5"}},
	"residual-weight": {layers: 4, copied: 39, dtype: format.BF16, notes: []string{"residual-weight.yml:4: residual_weight has no effect here"}},
	"sce": {dtype: format.BF16, values: []string{"select_topk model.norm.weight 0.1"},
		notes: []string{"smooth has no effect here", "lambda has no effect: sce has no such parameter", "density has no effect: sce has no such parameter"}},
	"sce-misplaced": {dtype: format.BF16, values: []string{"select_topk model.norm.weight 1"}, notes: []string{"select_topk has no effect here: it belongs under parameters"}},
	"self-slices":   {refused: true, layers: 4, dtype: format.BF16},
	"slerp-embed-slerp": {layers: 4, rows: 26, dtype: format.BF16, notes: []string{"embed_slerp has no effect here"}, values: []string{
		"t model.layers.1.self_attn.q_proj.weight 0.4", "t model.embed_tokens.weight 0.5"}},
	"slerp-embeddings": {dtype: format.BF16, values: []string{
		"t model.embed_tokens.weight 0", "t lm_head.weight 1", "t model.layers.2.input_layernorm.weight 0.25", "t model.norm.weight 0.45"}},
	"slerp-gradients":        {layers: 4, dtype: format.BF16, values: crossing},
	"slerp-gradients-models": {dtype: format.BF16, values: crossing},
	"slerp-per-slice": {layers: 4, dtype: format.BF16, values: []string{
		"t model.embed_tokens.weight 0.171423", "t model.layers.1.mlp.up_proj.weight 0.171423", "t model.layers.3.mlp.up_proj.weight 0.9",
		"t model.layers.3.self_attn.q_proj.weight 0.2", "t lm_head.weight 0.2"}},
	"slerp-v-shape": {dtype: format.BF16, values: []string{
		"t model.embed_tokens.weight 0.1", "t model.layers.1.mlp.up_proj.weight 0.4", "t model.layers.2.mlp.up_proj.weight 0.4", "t lm_head.weight 0.1"}},
	"source-revision": {layers: 5, copied: 48, dtype: format.BF16, notes: []string{"source-revision.yml:5: revision has no effect here"}},
	"task-arithmetic": {dtype: format.F16, values: []string{"weight lab/story model.norm.weight 0.01"}},
	"task-arithmetic-evolved": {layers: 4, dtype: format.BF16, values: []string{
		"lambda model.norm.weight 0.5676097213578511", "weight lab/code model.norm.weight 0.5"}},
	"task-arithmetic-negative": {dtype: format.BF16, values: []string{"weight lab/story model.norm.weight -0.35"}},
	"task-arithmetic-switches": {dtype: format.BF16, values: []string{"weight lab/code model.norm.weight -0.1"},
		notes: []string{"allow_negative_weights has no effect here", "smooth has no effect here"}},
	"tied":       {fused: 50, dtype: format.BF16, values: []string{"weight lab/tied-math model.layers.0.self_attn.q_proj.bias 0.4"}},
	"tied-slerp": {fused: 50, dtype: format.F16, values: []string{"t model.layers.2.self_attn.k_proj.bias 0", "t model.layers.3.self_attn.k_proj.weight 0.4", "t model.embed_tokens.weight 0.5"}},
	"tied-stack": {layers: 5, copied: 62, dtype: format.BF16, values: []string{
		"from model.layers.3.self_attn.v_proj.bias lab/tied-math model.layers.2.self_attn.v_proj.bias",
		"from model.embed_tokens.weight lab/tied-code model.embed_tokens.weight", "from model.norm.weight lab/tied-math model.norm.weight"}},
	"ties": {dtype: format.F16, values: []string{"weight lab/code model.norm.weight 0.3"}},
	"ties-gradients": {dtype: format.F16, values: []string{
		"density lab/instruct model.layers.1.mlp.up_proj.weight 0.8", "density lab/instruct model.layers.2.mlp.up_proj.weight 0.5",
		"weight lab/code model.layers.1.mlp.up_proj.weight 0.3", "weight lab/code lm_head.weight 0",
		"weight lab/math model.layers.1.mlp.up_proj.weight 0.5", "weight lab/math model.norm.weight 0"}},
	"ties-json": {dtype: format.F16, values: []string{
		"density lab/instruct model.layers.1.mlp.up_proj.weight 0.43333333333333335", "weight lab/math model.layers.1.mlp.up_proj.weight 0.3333333333333333",
		"weight lab/math model.norm.weight 0.5", "lambda model.norm.weight 0.7"}},
	"ties-one-model": {dtype: format.BF16, values: []string{"weight lab/code model.norm.weight 1"}},
	"ties-quoted": {rows: 26, dtype: format.BF16, values: []string{
		"weight lab/instruct model.norm.weight 0.75", "density lab/instruct model.norm.weight 0.5", "density lab/chatml model.norm.weight 0.25", "lambda model.norm.weight 1.5"}},
	"ties-unnormalized": {dtype: format.F16},
	"tokens-chatml":     {rows: 32, dtype: format.BF16}, // 26 and <|eot_id|>, to the next multiple of 32
	"tokens-kinds":      {rows: 28, dtype: format.F32},  // 24, ChatML's two, and two that only the recipe has
	"tokens-padded":     {dtype: format.BF16},
	"tokens-smaller":    {dtype: format.BF16},
	"upscale-anchored": {layers: 6, fused: 4, copied: 53, dtype: format.BF16, values: []string{
		"scale lab/base model.layers.2.self_attn.o_proj.weight 0", "scale lab/base model.layers.4.mlp.down_proj.weight 0",
		"from model.layers.4.mlp.up_proj.weight lab/base model.layers.2.mlp.up_proj.weight"}},
	"upscale-sqrt-scale": {layers: 6, fused: 4, copied: 53, dtype: format.BF16, values: []string{
		"scale lab/story model.layers.2.self_attn.q_proj.weight 0.7071067812", "from model.layers.3.self_attn.k_proj.weight lab/story model.layers.2.self_attn.k_proj.weight",
		"from model.layers.4.mlp.up_proj.weight lab/story model.layers.2.mlp.up_proj.weight"}},
	"upscale-zeroed": {layers: 6, fused: 4, copied: 53, dtype: format.BF16, values: []string{
		"scale lab/instruct model.layers.3.self_attn.o_proj.weight 0", "scale lab/instruct model.layers.4.mlp.down_proj.weight 0",
		"from model.layers.3.mlp.up_proj.weight lab/instruct model.layers.1.mlp.up_proj.weight", "from model.layers.5.mlp.up_proj.weight lab/instruct model.layers.3.mlp.up_proj.weight"}},
}

// crossing are values of [0, 0.5, 0.3, 0.7, 1] and [1, 0.5, 0.7, 0.3, 0] over four layers.
var crossing = []string{
	"t model.layers.0.self_attn.q_proj.weight 0", "t model.layers.0.mlp.up_proj.weight 1",
	"t model.layers.1.self_attn.q_proj.weight 0.43333333333333335", "t model.layers.1.mlp.up_proj.weight 0.5666666666666667",
	"t model.layers.3.self_attn.o_proj.weight 1", "t model.layers.3.post_attention_layernorm.weight 0.5", "t lm_head.weight 0.5",
}

// layersOf counts the layers of the language model among so many tensors.
func layersOf(tensors int, name func(i int) string) int64 {
	numbers := make(map[string]bool)
	for i := range tensors {
		if of, found := strings.CutPrefix(name(i), "model.layers."); found {
			number, _, _ := strings.Cut(of, ".")
			numbers[number] = true
		}
	}
	return int64(len(numbers))
}
