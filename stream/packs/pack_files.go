package packs

import (
	"errors"
	"io"

	"weld/format"
	"weld/format/packed"
	"weld/stream/destination"
)

// packFiles are the files that go into a pack, in their order there.
type packFiles struct {
	files   []packFile
	pack    *packed.Archive   // that they lie in, or nil
	sum     format.Checkpoint // with adapters, that a pipe reads; or nil
	inGGUF  bool              // the checkpoint's tensors are
	closers []io.Closer
	Notes   []string // what stays outside
}

// tensors counts those of all files.
func (in *packFiles) tensors() (n int) {
	for _, f := range in.files {
		n += len(f.tensors)
	}
	return n
}

// paths are where the files are; a pipe is nowhere.
func (in *packFiles) paths() (paths []string) {
	if in.pack != nil {
		return []string{in.pack.Path()}
	}
	for _, f := range in.files {
		if f.src != nil {
			paths = append(paths, f.src.Path())
		}
	}
	return paths
}

// size is how many bytes all files have.
func (in *packFiles) size() (n int64) {
	for _, f := range in.files {
		n += f.size
	}
	return n
}

// place is where the files are, for the checks of an output.
func (in *packFiles) place(name string) destination.InUse {
	p := destination.InUse{Role: "input", Path: name}
	switch {
	case in.pack != nil:
		p.Files = []format.InputFile{{Path: in.pack.Path(), Info: in.pack.Info()}}
	case in.sum != nil:
		p.Files = in.sum.Files()
	default:
		for _, f := range in.files {
			if f.src != nil {
				p.Files = append(p.Files, format.InputFile{Path: f.src.Path(), Info: f.src.Info()})
			}
		}
	}
	return p
}

// asBytes makes all files that are none of the checkpoint's files of bytes.
func (in *packFiles) asBytes() {
	for i := range in.files {
		if f := &in.files[i]; f.foreign {
			f.header, f.tensors, f.metadata = f.size, nil, nil
		}
	}
}

// Unchanged fails if any file is no longer what it was when opened, or a pipe goes on.
func (in *packFiles) Unchanged() error {
	if in.sum != nil {
		return format.Unchanged(in.sum)
	}
	for _, f := range in.files {
		if f.pipe != nil {
			if n, _ := f.pipe.Read(make([]byte, 1)); n > 0 {
				return &format.Error{Path: "stdin", Kind: format.KindGap, Detail: "bytes follow the last tensor"}
			}
			continue
		}
		if err := f.src.Unchanged(); err != nil {
			return err
		}
	}
	return nil
}

// Close closes the files.
func (in *packFiles) Close() error {
	var errs []error
	for _, c := range in.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
