package names

import (
	"slices"
	"strings"

	"weld/format"
)

// embeddings are what the matrix of input tokens is called.
var embeddings = []string{"embed_tokens", "word_embeddings", "wte", "embed_in", "shared", "embeddings"}

// tied matches the one matrix of tied embeddings, which is listed in memory under the name that comes
// first: in some models (CamemBERT, XLM-R) that of the output layer, where files have that of the input. Either side has
// one of the two, and nothing of the other.
func (m *Meeting) tied() {
	rest, left := m.rest(), m.left()
	for _, side := range []struct{ wanted, have func(string) bool }{{isEmbedding, isHead}, {isHead, isEmbedding}} {
		i, j := only(m.wanted, rest, side.wanted), only(m.have, left, side.have)
		if i == None || j == None || !slices.Equal(m.wanted[i].Shape, m.have[j].Shape) || len(m.wanted[i].Shape) != 2 {
			continue
		}
		if hasAny(m.wanted, side.have) || hasAny(m.have, side.wanted) {
			continue
		}
		m.Whole[i], m.taken[j] = j, true
	}
}

func isEmbedding(name string) bool { return slices.Contains(embeddings, matrixOf(name)) }

func isHead(name string) bool {
	switch matrixOf(name) {
	case "lm_head", "embed_out":
		return true
	case "decoder": // of a head, not of a model
		return strings.Contains(name, "lm_head.") || strings.Contains(name, "predictions.")
	}
	return false
}

// matrixOf is the module that has a weight, or "".
func matrixOf(name string) string {
	name, ok := strings.CutSuffix(name, ".weight")
	if !ok {
		return ""
	}
	return name[strings.LastIndexByte(name, '.')+1:]
}

// only is the one tensor of some whose name is of a kind, or None.
func only(tensors []format.Tensor, of []int, is func(string) bool) int {
	found := None
	for _, i := range of {
		if is(tensors[i].Name) {
			if found != None {
				return None
			}
			found = i
		}
	}
	return found
}

func hasAny(tensors []format.Tensor, is func(string) bool) bool {
	return slices.ContainsFunc(tensors, func(t format.Tensor) bool { return is(t.Name) })
}
