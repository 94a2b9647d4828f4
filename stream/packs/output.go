package packs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/dustin/go-humanize"

	"weld/format"
	"weld/format/packed"
	"weld/format/patch"
	"weld/mmapio"
	"weld/stream/destination"
)

// sink is where results go: files that appear together when they are complete, or a pipe.
type sink struct {
	name    string
	staging *mmapio.Staging
	pipe    io.Writer
	force   bool
	single  bool // holds one file, of its own name
	free    func(dir string) (bytes int64, known bool)
}

// createRestored begins an output for restored files: a directory, unless the name is that of one file.
func (o Options) createRestored(name string, inputs ...destination.InUse) (*sink, error) {
	switch {
	case name == Stream || isSingle(name):
		return o.create(name, mmapio.SingleFile, inputs...)
	case packed.IsName(name) || patch.IsName(name) || format.IsWeights(name):
		return nil, &destination.NameError{Output: name, Reason: "the files are restored as they were: name a directory, or *.safetensors or *.gguf if it is one such file; weld pack makes a pack of them"}
	}
	return o.create(name, mmapio.Directory, inputs...)
}

// isSingle reports whether a name is that of one restored file.
func isSingle(name string) bool { return isShard(name) || isGGUF(name) }

// isGGUF reports whether a file is in GGUF, by its name.
func isGGUF(name string) bool { return strings.EqualFold(filepath.Ext(name), ".gguf") }

// fileInput is a file that is read, as an input for the checks of an output.
func fileInput(role, path string, info os.FileInfo) destination.InUse {
	return destination.InUse{Role: role, Path: path, Files: []format.InputFile{{Path: path, Info: info}}}
}

// errSeveral is the error for an output of one file that would have several.
func errSeveral(out string) error {
	return &destination.NameError{Output: out, Reason: "there is more than one file: name a directory"}
}

// create begins an output, which is not the place of an input. What is in the way must be a file or a directory, as
// the output is, and needs Force.
func (o Options) create(name string, kind mmapio.StagingKind, inputs ...destination.InUse) (*sink, error) {
	if name == Stream {
		return &sink{name: name, pipe: o.Out, single: true}, nil
	}
	fs := o.FS
	if fs == nil {
		fs = mmapio.OS
	}
	check := destination.Candidate{Name: name, Kind: kind, Force: o.Force, Inputs: inputs, Resume: fs}
	if err := check.Check(); err != nil {
		return nil, err
	}
	staging, err := mmapio.NewStaging(fs, name, kind)
	if err != nil {
		return nil, err
	}
	free := o.Free
	if free == nil {
		free = mmapio.FreeSpace
	}
	return &sink{name: name, staging: staging, force: o.Force, single: kind == mmapio.SingleFile, free: free}, nil
}

// file makes a file of the output, of so many bytes, or 0 for one that grows.
func (o *sink) file(name string, size int64) (mmapio.OutputFile, error) {
	if o.staging == nil {
		return piped{o.pipe}, nil
	}
	if o.single {
		if isSingle(name) && !strings.EqualFold(filepath.Ext(name), filepath.Ext(o.name)) {
			return nil, &destination.NameError{Output: o.name, Reason: fmt.Sprintf("the file is %s, and restored as it was: name it *%s, or a directory", name, filepath.Ext(name))}
		}
		name = filepath.Base(o.name)
	}
	if err := o.needs(size, name); err != nil {
		return nil, err
	}
	return o.staging.Create(filepath.FromSlash(name), size)
}

// needs fails where there is not so much free space.
func (o *sink) needs(bytes int64, what string) error {
	if o.staging == nil {
		return nil
	}
	if free, ok := o.free(filepath.Dir(filepath.Clean(o.name))); ok && bytes > free {
		return fmt.Errorf("output %s: %s are needed for %s, %s are free", o.name, humanize.Bytes(uint64(bytes)), what, humanize.Bytes(uint64(free)))
	}
	return nil
}

// piped is a file of which only the end can be written to.
type piped struct{ io.Writer }

func (piped) WriteAt([]byte, int64) (int, error) { return 0, errors.ErrUnsupported }
func (piped) ReadAt([]byte, int64) (int, error)  { return 0, errors.ErrUnsupported }
func (piped) Truncate(int64) error               { return nil }
func (piped) Rewrite()                           {}
func (piped) Sync() error                        { return nil }
func (piped) Close() error                       { return nil }

// finish puts the output into place, or gives it up if there was an error.
func (o *sink) finish(ctx context.Context, err error) error {
	if o.staging == nil {
		return err
	}
	if err == nil {
		err = o.staging.SyncUntil(ctx)
	}
	if err == nil {
		err = o.staging.Commit(o.force, format.Superseded) // an old index over other shards must not stay
	}
	return errors.Join(err, o.staging.Discard())
}
