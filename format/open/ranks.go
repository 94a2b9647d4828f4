package open

import (
	"errors"
	"fmt"

	"weld/format"
	"weld/format/dcp"
	"weld/format/hub"
	"weld/format/safetensors"
	"weld/format/torch"
)

// ofRanks opens safetensors that each rank wrote by itself. Nothing in them says how many ranks there were, and without the last ones tensors would be
// shorter: what else is known of the model is held against them.
func ofRanks(dir format.Folder, open func(name string) (safetensors.Source, error)) (format.Checkpoint, error) {
	c, err := dcp.OpenRanks(dir, func(name string) (torch.Source, error) { return open(name) })
	if err != nil {
		return nil, err
	}
	if err := reachesEnd(dir, c); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// reachesEnd refuses embeddings with fewer rows than config.json has tokens, and norms that are shorter than the rows of embeddings.
func reachesEnd(dir format.Folder, c format.Checkpoint) error {
	config, err := dir.Read(hub.ConfigName, hub.MaxSidecar)
	if err != nil {
		return err
	}
	short := func(tensor, text string, args ...any) error {
		return &format.Error{Path: dir.Path(), Tensor: tensor, Kind: format.KindMissing, Detail: fmt.Sprintf(text, args...) + ": the files of the last ranks are missing"}
	}
	for _, tied := range hub.TiedHeads {
		i, ok := c.Find(tied.Embedding)
		if !ok || len(c.Tensors()[i].Shape) != 2 {
			continue
		}
		shape := c.Tensors()[i].Shape
		if n, known := hub.VocabSize(config); known && shape[0] < n {
			return short(tied.Embedding, "it has %d rows, and %s says vocab_size %d", shape[0], hub.ConfigName, n)
		}
		const embedding, norm = "model.embed_tokens.weight", "model.norm.weight"
		if j, ok := c.Find(norm); ok && tied.Embedding == embedding && len(c.Tensors()[j].Shape) == 1 && c.Tensors()[j].Shape[0] != shape[1] {
			return short(norm, "it has %d elements, and %q has rows of %d", c.Tensors()[j].Shape[0], embedding, shape[1])
		}
	}
	return nil
}
