package quant

import (
	"path/filepath"

	"weld/format"
	"weld/format/hub"
)

// Beside reads what is said of a checkpoint's scheme: of a single file, in its directory.
func Beside(c format.Checkpoint) (d Declared, err error) {
	beside := c.Beside()
	if files := c.Files(); !beside.Exists() && len(files) > 0 {
		beside = format.Directory(filepath.Dir(files[0].Path))
	}
	if d.Config, err = beside.Read(hub.ConfigName, hub.MaxSidecar); err != nil {
		return d, err
	}
	d.QuantConfig, err = beside.Read(hub.QuantConfigName, hub.MaxSidecar)
	return d, err
}
