// Package open finds out which container a path is and opens it. It is the front
// door of the readers under format, and knows nothing that they know.
package open

import (
	"os"
	"path/filepath"
	"strings"

	"weld/format"
	"weld/format/hub"
	"weld/format/packed"
	"weld/format/safetensors"
	"weld/format/seekzstd"
	"weld/mmapio"
)

// Readable says which paths can be opened, for messages and help.
const Readable = "a Hub directory, *.safetensors, *.safetensors.zst, *.weld, or the name of a model in the Hub cache"

// Checkpoint opens what a user called a checkpoint; its files are mapped unless another way
// to read is given.
func Checkpoint(name string, how ...mmapio.Reading) (format.Checkpoint, error) {
	source := func(path string) (safetensors.Source, error) { return Source(path, how...) }
	path, err := hub.Locate(name)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		dir := format.Directory(path)
		c, err := safetensors.OpenFolder(dir, inside(dir, source))
		return checkpoint(c, explain(dir, err))
	}
	if safetensors.IsIndex(path) {
		dir := format.Directory(filepath.Dir(path))
		c, err := safetensors.OpenIndex(dir, filepath.Base(path), inside(dir, source))
		return checkpoint(c, incomplete(err))
	}
	if packed.IsName(path) {
		return packed.OpenCheckpoint(path, how...)
	}
	if !safetensors.IsWeights(path) {
		return nil, unreadable(path)
	}
	src, err := source(path)
	if err != nil {
		return nil, err
	}
	return checkpoint(safetensors.OpenFile(path, src))
}

// Folder finds the files of what a user called a checkpoint, without opening it as one.
func Folder(name string, how ...mmapio.Reading) (format.Folder, error) {
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

// checkpoint keeps a nil pointer from becoming an interface that is not nil.
func checkpoint(c *safetensors.Checkpoint, err error) (format.Checkpoint, error) {
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
