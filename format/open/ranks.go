package open

import (
	"errors"

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
	if err := complete(dir, c); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// complete refuses a model whose configuration, or whose tensors, tell that it was larger.
func complete(dir format.Folder, c format.Checkpoint) error {
	config, err := dir.Read(hub.ConfigName, hub.MaxSidecar)
	if err != nil {
		return err
	}
	if tensor, why := hub.Short(config, c); why != "" {
		return &format.Error{Path: dir.Path(), Tensor: tensor, Kind: format.KindMissing, Detail: why + ": the files of the last ranks are missing"}
	}
	return nil
}
