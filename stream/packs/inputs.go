package packs

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"weld/format"
	"weld/format/hub"
	"weld/format/open"
	"weld/format/packed"
	"weld/format/safetensors"
	"weld/mmapio"
)

// input is a file that goes into a pack.
type input struct {
	name     string
	size     int64
	header   int64 // bytes before the tensors
	tensors  []format.Tensor
	metadata map[string]string  // of a shard
	src      safetensors.Source // nil for a pipe
	pipe     io.Reader
}

// inputs are the files of a checkpoint.
type inputs struct {
	files []input
	pack  *packed.Archive // that they lie in, or nil
	Notes []string        // what stays outside
}

// gather finds the files of what a user called a checkpoint, and opens them. The
// checkpoint is looked at as one before, so that a damaged one is not packed.
func gather(name string, how mmapio.Reading) (*inputs, error) {
	in := &inputs{}
	if err := in.find(name, how); err != nil {
		return nil, errors.Join(err, in.Close())
	}
	return in, nil
}

func (in *inputs) find(name string, how mmapio.Reading) error {
	c, err := open.Checkpoint(name, how)
	if err != nil {
		return err
	}
	defer c.Close()
	in.Notes = append(in.Notes, format.Notes(c)...)
	path, err := hub.Locate(name)
	if err != nil {
		return err
	}
	if packed.IsName(path) {
		return in.packed(path, how)
	}
	beside := c.Beside()
	if info, err := os.Stat(path); err != nil || !info.IsDir() && !safetensors.IsIndex(path) {
		beside = format.Folder{} // one file was named, and that alone is meant
	}
	if beside.Exists() {
		if err := in.small(beside, how); err != nil {
			return err
		}
	}
	for _, f := range c.Files() {
		if strings.HasSuffix(f.Path, ".json") {
			err = in.add(filepath.Base(f.Path), f.Path, how)
		} else {
			err = in.weights(f.Path, how)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// small adds the files beside the weights.
func (in *inputs) small(beside format.Folder, how mmapio.Reading) error {
	names, skipped, err := hub.Sidecars(beside)
	if err != nil {
		return fmt.Errorf("list the files beside the weights of %s: %w", beside.Path(), err)
	}
	for _, name := range names {
		if err := in.add(name, beside.Join(name), how); err != nil {
			return err
		}
	}
	for _, name := range skipped {
		in.Notes = append(in.Notes, fmt.Sprintf("%s: the directory %s stays outside the pack", beside.Path(), name))
	}
	entries, err := fs.ReadDir(beside, ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if hub.IsWeights(e.Name()) && !safetensors.IsWeights(e.Name()) {
			in.Notes = append(in.Notes, fmt.Sprintf("%s: %s holds weights in another format and stays outside the pack", beside.Path(), e.Name()))
		}
	}
	return nil
}

// packed adds the files in a pack.
func (in *inputs) packed(path string, how mmapio.Reading) (err error) {
	if in.pack, err = packed.Open(path, how); err != nil {
		return err
	}
	for i, f := range in.pack.Files() {
		src := in.pack.Source(i)
		if !isShard(f.Name) {
			in.files = append(in.files, input{name: f.Name, size: f.Size, header: f.Size, src: src})
		} else if err := in.shard(f.Name, src); err != nil {
			return err
		}
	}
	return nil
}

// isShard reports whether a file holds tensors, by its name.
func isShard(name string) bool { return strings.HasSuffix(strings.ToLower(name), ".safetensors") }

// add adds a file of bytes.
func (in *inputs) add(name, path string, how mmapio.Reading) error {
	file, err := mmapio.Open(path, how)
	if err != nil {
		return err
	}
	in.files = append(in.files, input{name: name, size: file.Size(), header: file.Size(), src: file})
	return nil
}

// weights adds a shard. One that is compressed goes in as what it was before.
func (in *inputs) weights(path string, how mmapio.Reading) error {
	src, err := open.Source(path, how)
	if err != nil {
		return err
	}
	name := filepath.Base(path)
	if n := len(name) - len(".zst"); strings.EqualFold(name[n:], ".zst") {
		name = name[:n]
	}
	return in.shard(name, src)
}

// shard adds a file of tensors, which is closed with the others even if it is none.
func (in *inputs) shard(name string, src safetensors.Source) error {
	in.files = append(in.files, input{name: name, size: src.Size(), src: src})
	header, err := safetensors.ReadHeader(src.Path(), src, src.Size())
	if err != nil {
		return err
	}
	in.files[len(in.files)-1].holds(header)
	return nil
}

// pipe takes a safetensors file from a pipe: the header at once, the tensors when their turn comes.
func pipe(in io.Reader) (*inputs, error) {
	const path = "stdin"
	r := bufio.NewReaderSize(in, 1<<20)
	length, err := r.Peek(8)
	if err != nil {
		return nil, &format.Error{Path: path, Kind: format.KindTruncated, Detail: "no safetensors file comes from there", Err: err}
	}
	n := binary.LittleEndian.Uint64(length)
	if n > safetensors.MaxHeader {
		return nil, &format.Error{Path: path, Kind: format.KindHeaderSize, Detail: fmt.Sprintf("a header of %d bytes: what comes from there is no safetensors file", n)}
	}
	head, err := io.ReadAll(io.LimitReader(r, 8+int64(n)))
	if err == nil && len(head) < 8+int(n) {
		err = &format.Error{Path: path, Kind: format.KindTruncated, Detail: fmt.Sprintf("it ends inside the header of %d bytes", n)}
	}
	if err != nil {
		return nil, err
	}
	header, err := safetensors.ParseHeader(path, head[8:], safetensors.UnknownSize)
	if err != nil {
		return nil, err
	}
	f := input{name: safetensors.SingleName, size: header.DataStart + header.DataSize(), pipe: io.MultiReader(bytes.NewReader(head), r)}
	f.holds(header)
	return &inputs{files: []input{f}}, nil
}

// paths are where the files are; a pipe is nowhere.
func (in *inputs) paths() (paths []string) {
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

// holds notes what is in a shard.
func (f *input) holds(h *safetensors.Header) {
	f.header, f.metadata = h.DataStart, h.Metadata
	for _, e := range h.Tensors {
		f.tensors = append(f.tensors, e.Tensor)
	}
}

// announce tells a pack of the file that comes.
func (f *input) announce(w writer) (*packed.File, error) {
	if f.tensors == nil {
		return w.Bytes(f.name, f.size)
	}
	return w.Shard(f.name, f.header, f.tensors, nil)
}

// run is how many bytes of one type follow: k is 0 for the header, then the tensors.
func (f *input) run(k int) (bytes int64, ok bool) {
	switch {
	case k == 0:
		return f.header, true
	case k <= len(f.tensors):
		return f.tensors[k-1].Bytes(), true
	}
	return 0, false
}

// writer is a pack or a patch being written.
type writer interface {
	Shard(name string, header int64, tensors []format.Tensor, given []byte) (*packed.File, error)
	Bytes(name string, size int64) (*packed.File, error)
	Abort(error)
}

func (in *inputs) size() (n int64) {
	for _, f := range in.files {
		n += f.size
	}
	return n
}

// Unchanged fails if any file is no longer what it was when opened, or a pipe goes on.
func (in *inputs) Unchanged() error {
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
func (in *inputs) Close() error {
	var errs []error
	for _, f := range in.files {
		if f.src != nil {
			errs = append(errs, f.src.Close())
		}
	}
	if in.pack != nil {
		errs = append(errs, in.pack.Close())
	}
	return errors.Join(errs...)
}
