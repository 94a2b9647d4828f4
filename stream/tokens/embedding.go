package tokens

import (
	"strings"

	"weld/format"
)

// embeddings end the names of tensors that have a row for each token. output.weight
// counts outside of layers only.
var embeddings = []string{
	"embed_tokens.weight", "wte.weight", "word_embeddings.weight", "embed_in.weight", "tok_embeddings.weight", "embeddings.weight", "shared.weight",
	"lm_head.weight", "embed_out.weight", "output_layer.weight", "lm_head.decoder.weight", "predictions.decoder.weight", "vocab_projector.weight",
}

// biases have an element for each token.
var biases = []string{
	"lm_head.bias", "embed_out.bias", "output_layer.bias", "lm_head.decoder.bias", "predictions.decoder.bias", "predictions.bias", "vocab_projector.bias",
}

// IsEmbedding reports whether a tensor is an embedding by its name and rank: rows, or
// single elements of a bias, that belong to tokens.
func IsEmbedding(t format.Tensor) bool {
	switch len(t.Shape) {
	case 0:
		return false
	case 1:
		return named(t.Name, biases)
	}
	return named(t.Name, embeddings) || named(t.Name, []string{"output.weight"}) && !inLayer(t.Name)
}

func named(name string, ends []string) bool {
	for _, end := range ends {
		if head, ok := strings.CutSuffix(name, end); ok && (head == "" || strings.HasSuffix(head, ".")) {
			return true
		}
	}
	return false
}

// inLayer reports whether a part of the name is a number.
func inLayer(name string) bool {
	for part := range strings.SplitSeq(name, ".") {
		if part != "" && strings.Trim(part, "0123456789") == "" {
			return true
		}
	}
	return false
}
