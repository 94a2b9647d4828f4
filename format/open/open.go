// Package open finds out which container a path is and opens it. It is the front
// door of the readers under format, and knows nothing that they know.
package open

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"weld/format"
	"weld/format/dcp"
	"weld/format/deepspeed"
	"weld/format/gguf"
	"weld/format/hub"
	"weld/format/packed"
	"weld/format/safetensors"
	"weld/format/seekzstd"
	"weld/format/torch"
	"weld/mmapio"
)

// Readable says which paths can be opened, for messages and help.
const Readable = "a Hub directory, a directory of a training (torch.distributed.checkpoint, DeepSpeed), *.safetensors, *.safetensors.zst, *.weld, *.gguf, *.bin, *.pt, *.pth and *.ckpt of torch.save, or the name of a model in the Hub cache"

// Checkpoint opens what a user called a checkpoint; its files are mapped unless another way
// to read is given. Of files of torch.save, path#key says which state dict is meant.
func Checkpoint(name string, how ...mmapio.Reading) (format.Checkpoint, error) {
	name, key := Apart(name)
	path, err := hub.Locate(name)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	source := func(path string) (safetensors.Source, error) { return Source(path, how...) }
	if info.IsDir() {
		return folder(format.Directory(path), key, source, how)
	}
	dir := format.Directory(filepath.Dir(path))
	switch file := filepath.Base(path); {
	case torch.IsIndex(path):
		c, err := torch.OpenIndex(dir, file, key, inside(dir, source))
		return checkpoint(c, incomplete(err))
	case deepspeed.IsPart(path) && key == "":
		return nil, &format.Error{Path: path, Kind: format.KindUnsupported, Detail: "what one rank saved with DeepSpeed: its parts of parameters are put together with those of the others when the directory is named, " + dir.Path()}
	case torch.IsFile(path):
		return single(path, source, func(src safetensors.Source) (*torch.Checkpoint, error) { return torch.OpenFile(path, src, key) })
	case key != "":
		return nil, keyless(name, key)
	case safetensors.IsIndex(path):
		c, err := safetensors.OpenIndex(dir, file, inside(dir, source))
		return checkpoint(c, incomplete(err))
	case packed.IsName(path):
		return packed.OpenCheckpoint(path, how...)
	case gguf.IsName(path):
		return checkpoint(gguf.Open(path, how...))
	case !safetensors.IsWeights(path):
		return nil, unreadable(path)
	}
	return single(path, source, func(src safetensors.Source) (*safetensors.Checkpoint, error) { return safetensors.OpenFile(path, src) })
}

// Apart takes a path and the key of a state dict apart, at the first # behind which the path is there; "" is no key.
func Apart(name string) (path, key string) {
	if _, err := os.Stat(name); err == nil {
		return name, ""
	}
	for i := range len(name) - 1 {
		if name[i] != '#' {
			continue
		}
		if path, err := hub.Locate(name[:i]); err == nil && path != "" {
			return name[:i], name[i+1:]
		}
	}
	return name, ""
}

// single opens one file.
func single[C format.Checkpoint](path string, source func(path string) (safetensors.Source, error), open func(src safetensors.Source) (C, error)) (format.Checkpoint, error) {
	src, err := source(path)
	if err != nil {
		return nil, err
	}
	return checkpoint(open(src))
}

// folder opens the checkpoint of a directory: safetensors, and where there are none, what torch.distributed.checkpoint, DeepSpeed or torch.save
// wrote, and where there is none, GGUF; last what a training with DeepSpeed left beside no files of a model. A key is for what torch wrote.
func folder(dir format.Folder, key string, source func(path string) (safetensors.Source, error), how []mmapio.Reading) (format.Checkpoint, error) {
	distributed := dcp.IsFolder(dir)
	switch {
	case key != "" && deepspeed.IsTag(dir):
		return nil, partitioned(dir, key)
	case key != "" && distributed:
		c, err := dcp.Open(dir, key, inside(dir, source))
		return checkpoint(c, incomplete(err))
	case key != "":
		c, err := torch.OpenFolder(dir, key, inside(dir, source))
		if absent(dir, err) && deepspeed.IsTraining(dir) {
			return nil, partitioned(dir, key)
		}
		return checkpoint(c, explain(dir, err))
	}
	if list := mixed(dir); list != nil {
		return components(dir, list, source)
	}
	if dcp.IsOfRanks(dir) {
		return ofRanks(dir, inside(dir, source))
	}
	c, err := safetensors.OpenFolder(dir, inside(dir, source))
	if err == nil {
		if others := besides(dir); len(others) > 0 {
			c.Note(fmt.Sprintf("%s: its tensors are those of the safetensors; beside them, and not read as tensors: %s", dir.Path(), someOf(others)))
		}
		noteTraining(c, dir)
		return c, nil
	}
	if !absent(dir, err) {
		return nil, explain(dir, err)
	}
	if distributed {
		c, err := dcp.Open(dir, "", inside(dir, source))
		return checkpoint(c, incomplete(err))
	}
	if deepspeed.IsTag(dir) {
		c, err := deepspeed.Open(dir, inside(dir, source))
		return checkpoint(c, incomplete(err))
	}
	pickled, other := torch.OpenFolder(dir, "", inside(dir, source))
	switch {
	case other == nil:
		noteTraining(pickled, dir)
	case absent(dir, other) && deepspeed.IsTraining(dir):
		c, err := deepspeed.Open(dir, inside(dir, source))
		return checkpoint(c, incomplete(err))
	case absent(dir, other) && holdsGGUF(dir):
		return checkpoint(gguf.OpenFolder(dir, how...))
	case absent(dir, other):
		return nil, explain(dir, err)
	}
	return checkpoint(pickled, incomplete(other))
}

// noteTraining says that a training's state is beside the files of its model.
func noteTraining(c interface{ Note(text string) }, dir format.Folder) {
	if deepspeed.IsTraining(dir) {
		c.Note(fmt.Sprintf("%s: its tensors are those of the model's files; the state of a training with DeepSpeed is beside them, whose weights are read where its own directory is named", dir.Path()))
	}
}

// absent reports whether a directory has no file that a reader knows.
func absent(dir format.Folder, err error) bool {
	var e *format.Error
	return errors.As(err, &e) && e.Kind == format.KindMissing && e.Path == dir.Path()
}

// besides are the files of torch.save in a directory that have names of the Hub, or of a Llama release, and those in GGUF.
func besides(dir format.Folder) (names []string) {
	entries, _ := dir.ReadDir(".")
	for _, e := range entries {
		if name := e.Name(); gguf.IsName(name) || torch.IsWeights(name) && (strings.HasPrefix(name, "pytorch_model") || strings.HasPrefix(name, "consolidated.")) {
			names = append(names, name)
		}
	}
	return names
}

// Folder finds the files of what a user called a checkpoint, without opening it as one.
func Folder(name string, how ...mmapio.Reading) (format.Folder, error) {
	name, _ = Apart(name)
	path, err := hub.Locate(name)
	if err != nil {
		return format.Folder{}, err
	}
	if packed.IsName(path) {
		a, err := packed.Open(path, how...)
		if err != nil {
			return format.Folder{}, err
		}
		return format.FolderOf(path, a.FS()), nil
	}
	return format.Directory(path), nil
}

// inside opens the files of a directory by name.
func inside(dir format.Folder, open func(path string) (safetensors.Source, error)) func(name string) (safetensors.Source, error) {
	return func(name string) (safetensors.Source, error) { return open(dir.Join(name)) }
}

// holdsGGUF reports whether files of a directory are named as GGUF.
func holdsGGUF(dir format.Folder) bool {
	entries, _ := dir.ReadDir(".")
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return !e.IsDir() && gguf.IsName(e.Name()) })
}

// checkpoint keeps a nil pointer from becoming an interface that is not nil.
func checkpoint[C format.Checkpoint](c C, err error) (format.Checkpoint, error) {
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Source opens a file of the safetensors layout, compressed or not.
func Source(path string, how ...mmapio.Reading) (safetensors.Source, error) {
	if strings.HasSuffix(strings.ToLower(path), ".zst") {
		f, err := seekzstd.Open(path, how...)
		if err != nil {
			return nil, err
		}
		return f, nil
	}
	f, err := mmapio.Open(path, how...)
	if err != nil {
		return nil, err
	}
	return f, nil
}
