package quant

import (
	"path/filepath"

	"weld/format"
	"weld/format/hub"
)

// Beside reads what is said of a checkpoint's scheme. What stands in the directory of a single file may be of something else: it is a
// second witness, and none where it cannot be read.
func Beside(c format.Checkpoint) (d Declared, err error) {
	beside := format.Beside(c)
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
