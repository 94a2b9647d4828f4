package quant

import (
	"path/filepath"

	"weld/format"
	"weld/format/composed"
	"weld/format/hub"
)

// Beside reads what is said of a checkpoint's scheme. What stands in the directory of a single file may be of something else: it is a
// second witness, and none where it cannot be read.
func Beside(c format.Checkpoint) (d Declared, err error) {
	if _, each := c.(*composed.Checkpoint); each { // is asked for its own
		return d, nil
	}
	beside := format.Beside(c)
	if err := declaredParts(c, beside); err != nil {
		return d, err
	}
	if files := c.Files(); !beside.Exists() && len(files) > 0 {
		beside = format.Directory(filepath.Dir(files[0].Path))
		d.Config, _ = beside.Read(hub.ConfigName, hub.MaxSidecar)
		d.QuantConfig, _ = beside.Read(hub.QuantConfigName, hub.MaxSidecar)
		return d, nil
	}
	if d.Config, err = beside.Read(hub.ConfigName, hub.MaxSidecar); err != nil {
		return d, err
	}
	d.QuantConfig, err = beside.Read(hub.QuantConfigName, hub.MaxSidecar)
	return d, err
}

// declaredParts refuses components that are stored in a scheme: each has a configuration of its own, and names there are not those here.
func declaredParts(c format.Checkpoint, beside format.Folder) error {
	for _, part := range format.Parts(c) {
		if part.Folder == "" {
			continue
		}
		config, err := beside.Read(part.Prefix()+hub.ConfigName, hub.MaxSidecar)
		if err != nil {
			return err
		}
		if len(hub.Quantizations(config)) > 0 {
			return &format.Error{Path: beside.Join(part.Folder), Kind: format.KindScheme, Detail: "the component stores its values in a scheme (quantization_config in its " + hub.ConfigName + "): name it by itself, as a model; components that are stored so are not read together from a pack"}
		}
	}
	return nil
}
