package packed

import (
	"errors"
	"io/fs"
	"strings"

	"weld/format"
	"weld/format/dcp"
	"weld/format/deepspeed"
	"weld/format/safetensors"
	"weld/format/torch"
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

// Checkpoint opens the checkpoint in the pack, which owns the archive from then on: safetensors, and where there are none, what
// torch.distributed.checkpoint, DeepSpeed or torch.save wrote.
func (a *Archive) Checkpoint() (format.Checkpoint, error) {
	files := []format.InputFile{{Path: a.Path(), Info: a.Info(), Digest: a.digest}}
	dir := format.FolderOf(a.Path(), a.FS())
	inner, err := safetensors.OpenFolder(dir, a.source)
	if err == nil {
		return &packedCheckpoint{inner, a, files}, nil
	}
	if !absent(dir, err) {
		return nil, err
	}
	open := func() (*torch.Checkpoint, error) { return torch.OpenFolder(dir, "", a.source) }
	if dcp.IsFolder(dir) {
		open = func() (*torch.Checkpoint, error) { return dcp.Open(dir, "", a.source) }
	}
	if deepspeed.IsTag(dir) {
		open = func() (*torch.Checkpoint, error) { return deepspeed.Open(dir, a.source) }
	}
	pickled, other := open()
	if absent(dir, other) && deepspeed.IsTraining(dir) {
		pickled, other = deepspeed.Open(dir, a.source)
	}
	if other == nil {
		return &packedTorch{pickled, a, files}, nil
	}
	if absent(dir, other) {
		if held, globErr := fs.Glob(a.FS(), "*.gguf"); globErr == nil && len(held) > 0 {
			return nil, &format.Error{Path: dir.Path(), Kind: format.KindUnsupported, Detail: held[0] + " is in it, and GGUF is not read in a pack: weld unpack it first"}
		}
		return nil, err
	}
	return nil, other
}

// absent reports whether a pack has no file that a reader knows.
func absent(dir format.Folder, err error) bool {
	var e *format.Error
	return errors.As(err, &e) && e.Kind == format.KindMissing && e.Path == dir.Path()
}

// source opens a file of the pack by name, to read it in place.
func (a *Archive) source(name string) (safetensors.Source, error) {
	i, ok := a.Find(name)
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: a.Path() + "/" + name, Err: fs.ErrNotExist}
	}
	if strings.HasSuffix(strings.ToLower(name), ".zst") {
		return nil, &format.Error{Path: a.Path() + "/" + name, Kind: format.KindUnsupported, Detail: "compressed once more inside the pack: weld unpack it first"}
	}
	return a.Source(i), nil
}

// packedTorch is the checkpoint of torch's files in a pack.
type packedTorch struct {
	*torch.Checkpoint
	archive *Archive
	files   []format.InputFile
}

// Files implements [format.Checkpoint]: it is one.
func (c *packedTorch) Files() []format.InputFile { return c.files }

// FileOf implements [format.Sharded].
func (c *packedTorch) FileOf(int) int { return 0 }

// Close implements [format.Checkpoint].
func (c *packedTorch) Close() error { return c.archive.Close() }

// Files implements [format.Checkpoint]: it is one.
func (c *packedCheckpoint) Files() []format.InputFile { return c.files }

// FileOf implements [format.Sharded].
func (c *packedCheckpoint) FileOf(int) int { return 0 }

// Close implements [format.Checkpoint].
func (c *packedCheckpoint) Close() error { return c.archive.Close() }
