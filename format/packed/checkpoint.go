package packed

import (
	"errors"
	"io/fs"
	"strings"

	"weld/format"
	"weld/format/safetensors"
	"weld/mmapio"
)

// packedCheckpoint is the checkpoint in a pack. What stands beside it is in the pack too.
type packedCheckpoint struct {
	*safetensors.Checkpoint
	archive *Archive
	files   []format.InputFile
}

// OpenCheckpoint opens the checkpoint in a pack, without unpacking it.
func OpenCheckpoint(path string, how ...mmapio.Reading) (format.Checkpoint, error) {
	a, err := Open(path, how...)
	if err != nil {
		return nil, err
	}
	c, err := a.Checkpoint()
	if err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return c, nil
}

// Checkpoint opens the checkpoint in the pack, which owns the archive from then on.
func (a *Archive) Checkpoint() (format.Checkpoint, error) {
	inner, err := safetensors.OpenFolder(format.FolderOf(a.Path(), a.FS()), func(name string) (safetensors.Source, error) {
		i, ok := a.Find(name)
		if !ok {
			return nil, &fs.PathError{Op: "open", Path: a.Path() + "/" + name, Err: fs.ErrNotExist}
		}
		if strings.HasSuffix(strings.ToLower(name), ".zst") {
			return nil, &format.Error{Path: a.Path() + "/" + name, Kind: format.KindUnsupported, Detail: "compressed once more inside the pack: weld unpack it first"}
		}
		return a.Source(i), nil
	})
	if err != nil {
		return nil, err
	}
	return &packedCheckpoint{inner, a, []format.InputFile{{Path: a.Path(), Info: a.Info(), Digest: a.digest}}}, nil
}

// Files implements [format.Checkpoint]: it is one.
func (c *packedCheckpoint) Files() []format.InputFile { return c.files }

// FileOf implements [format.Sharded].
func (c *packedCheckpoint) FileOf(int) int { return 0 }

// Close implements [format.Checkpoint].
func (c *packedCheckpoint) Close() error { return c.archive.Close() }
