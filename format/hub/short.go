package hub

import (
	"fmt"

	"weld/format"
)

// Short finds an embedding with fewer rows than config.json has tokens, or a norm that is shorter than the rows of embeddings: a model of which a part
// is missing. why is "" where nothing tells.
func Short(config []byte, c format.Checkpoint) (tensor, why string) {
	const embedding, norm = "model.embed_tokens.weight", "model.norm.weight"
	for _, tied := range TiedHeads {
		i, ok := c.Find(tied.Embedding)
		if !ok || len(c.Tensors()[i].Shape) != 2 {
			continue
		}
		shape := c.Tensors()[i].Shape
		if n, known := VocabSize(config); known && shape[0] < n {
			return tied.Embedding, fmt.Sprintf("it has %d rows, and %s says vocab_size %d", shape[0], ConfigName, n)
		}
		if j, ok := c.Find(norm); ok && tied.Embedding == embedding && len(c.Tensors()[j].Shape) == 1 && c.Tensors()[j].Shape[0] != shape[1] {
			return norm, fmt.Sprintf("it has %d elements, and %q has rows of %d", c.Tensors()[j].Shape[0], embedding, shape[1])
		}
	}
	return "", ""
}
