package tokens

import (
	"testing"

	"weld/format"
)

func TestIsEmbedding(t *testing.T) {
	for name, want := range map[string]bool{
		"model.embed_tokens.weight": true, "transformer.wte.weight": true, "lm_head.weight": true, "output.weight": true, "model.tok_embeddings.weight": true,
		"bert.embeddings.word_embeddings.weight": true, "gpt_neox.embed_in.weight": true, "embed_out.weight": true, "backbone.embeddings.weight": true,
		"layers.0.wte.weight": true, "transformer.wpe.weight": false, "bert.embeddings.position_embeddings.weight": false, "model.layers.3.output.weight": false,
		"model.norm.weight": false, "my_lm_head.weight": false, "embed_tokens.weight.scale": false, "model.embed_tokens_per_layer.weight": false,
	} {
		if got := IsEmbedding(format.Tensor{Name: name, Shape: []int64{9, 2}}); got != want {
			t.Errorf("%s: %v", name, got)
		}
		if IsEmbedding(format.Tensor{Name: name}) || IsEmbedding(format.Tensor{Name: name, Shape: []int64{9}}) {
			t.Errorf("%s: a scalar or vector", name)
		}
	}
	if !IsEmbedding(format.Tensor{Name: "lm_head.bias", Shape: []int64{9}}) || IsEmbedding(format.Tensor{Name: "lm_head.bias", Shape: []int64{9, 9}}) {
		t.Error("lm_head.bias")
	}
}
