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
	"slices"
	"strings"

	"weld/format"
	"weld/format/hub"
	"weld/format/model"
	"weld/format/open"
	"weld/format/packed"
	"weld/format/safetensors"
	"weld/mmapio"
	"weld/stream/destination"
)

// input is a file that goes into a pack.
type input struct {
	name     string
	size     int64
	header   int64 // bytes before the tensors
	tensors  []format.Tensor
	repeats  []int64            // for each tensor, where an earlier one with the same bytes begins in the content, or −1; nil for none
	metadata map[string]string  // of a shard
	foreign  bool               // holds tensors, but not of the checkpoint
	src      safetensors.Source // nil for a pipe
	pipe     io.Reader
}

// inputs are the files of a checkpoint.
type inputs struct {
	files []input
	pack  *packed.Archive   // that they lie in, or nil
	sum   format.Checkpoint // with adapters, that a pipe reads; or nil
	Notes []string          // what stays outside
}

// gather finds the files of what a user called a checkpoint, and opens them: of a folder all, whatever they are, but
// for out, which is to be written there. The checkpoint is looked at as one before, so that a damaged one is not packed.
func gather(name, out string, how mmapio.Reading) (*inputs, error) {
	in := &inputs{}
	if err := in.find(name, out, how); err != nil {
		return nil, errors.Join(err, in.Close())
	}
	return in, nil
}

func (in *inputs) find(name, out string, how mmapio.Reading) error {
	if path, adapters := model.Split(name); len(adapters) > 0 {
		return in.summed(path, adapters, how)
	}
	path, err := hub.Locate(name)
	if err != nil {
		return err
	}
	if packed.IsName(path) {
		return in.packed(path, how)
	}
	folder, isFolder := folderOf(path)
	c, err := open.Checkpoint(name, how)
	if err != nil {
		if !isFolder || claims(folder) || format.KindOf(err) == "" {
			return err
		}
		in.noteNone(err)
		return in.folder(folder, nil, out, how)
	}
	defer c.Close()
	in.Notes = append(in.Notes, format.Notes(c)...)
	if isFolder {
		return in.folder(folder, c.Files(), out, how)
	}
	for _, f := range c.Files() { // one file was named, and that alone is meant
		if err := in.weights(filepath.Base(f.Path), f.Path, how); err != nil {
			return err
		}
	}
	return nil
}

func (in *inputs) noteNone(why error) {
	in.Notes = append(in.Notes, fmt.Sprintf("no checkpoint that weld reads (%v): its files are packed as they are", why))
}

// folderOf is the folder that a path means: itself, or that of an index.
func folderOf(path string) (folder format.Folder, ok bool) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return format.Directory(path), true
	}
	if safetensors.IsIndex(path) {
		return format.Directory(filepath.Dir(path)), true
	}
	return format.Folder{}, false
}

// claims reports whether a folder says that it holds a checkpoint, which then has to be sound.
func claims(folder format.Folder) bool {
	entries, err := folder.ReadDir(".")
	return err != nil || slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		name := e.Name()
		return name == safetensors.SingleName || safetensors.IsIndex(name) || safetensors.IsWeights(name) && strings.Contains(name, "-of-")
	})
}

// folder adds all files of a folder: the small ones beside the weights first, which a reader of a stream wants
// first, then the checkpoint's own, then all others.
func (in *inputs) folder(folder format.Folder, own []format.InputFile, out string, how mmapio.Reading) error {
	l, err := list(folder, in.isOutput(folder, out))
	if err != nil {
		return err
	}
	if l.refused != nil {
		return l.refused
	}
	in.Notes = append(in.Notes, l.notes...)
	beside, _, err := hub.Sidecars(folder)
	if err != nil {
		return fmt.Errorf("list the files beside the weights of %s: %w", folder.Path(), err)
	}
	rest := make(map[string]bool, len(l.files))
	for _, name := range l.files {
		rest[name] = true
	}
	add := func(name string, member bool) error {
		if !rest[name] {
			return nil // left out, or added
		}
		delete(rest, name)
		switch {
		case member && !strings.HasSuffix(name, ".json"):
			if plain, ok := uncompressed(name); ok && rest[plain] {
				return in.add(name, folder.Join(name), how) // both are there, and stay what they are
			}
			return in.weights(name, folder.Join(name), how)
		case isShard(name):
			return in.other(name, folder.Join(name), how)
		}
		return in.add(name, folder.Join(name), how)
	}
	for _, name := range beside {
		if err := add(name, false); err != nil {
			return err
		}
	}
	for _, f := range own {
		if err := add(filepath.Base(f.Path), true); err != nil {
			return err
		}
	}
	for _, name := range l.files {
		if err := add(name, false); err != nil {
			return err
		}
	}
	if len(in.files) == 0 {
		return &format.Error{Path: folder.Path(), Kind: format.KindMissing, Detail: "there is no file in it"}
	}
	return nil
}

// isOutput makes a test for the name of the output, which may be written into the folder that it packs.
func (in *inputs) isOutput(folder format.Folder, out string) func(name string) bool {
	there, err := os.Stat(out)
	return func(name string) bool {
		if err != nil || out == Stream {
			return false
		}
		info, err := os.Lstat(folder.Join(name))
		return err == nil && os.SameFile(info, there)
	}
}

// packed adds the files in a pack.
func (in *inputs) packed(path string, how mmapio.Reading) (err error) {
	if in.pack, err = packed.Open(path, how); err != nil {
		return err
	}
	members, err := in.pack.Members()
	if err != nil {
		if format.KindOf(err) == "" || claims(format.FolderOf(path, in.pack.FS())) {
			return err
		}
		in.noteNone(err)
	}
	for i, f := range in.pack.Files() {
		g := input{name: f.Name, size: f.Size, header: f.Size, src: in.pack.Source(i)}
		if isShard(f.Name) {
			header, err := safetensors.ReadHeader(g.src.Path(), g.src, f.Size)
			switch {
			case err == nil:
				g.holds(header)
			case format.KindOf(err) == "" || slices.Contains(members, f.Name):
				return err
			}
			g.foreign = !slices.Contains(members, f.Name)
		}
		in.files = append(in.files, g)
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
func (in *inputs) weights(name, path string, how mmapio.Reading) error {
	src, err := open.Source(path, how)
	if err != nil {
		return err
	}
	name, _ = uncompressed(name)
	return in.shard(name, src)
}

// uncompressed is the name of a compressed file before it was.
func uncompressed(name string) (plain string, compressed bool) {
	if n := len(name) - len(".zst"); n > 0 && strings.EqualFold(name[n:], ".zst") {
		return name[:n], true
	}
	return name, false
}

// other adds a file that may hold tensors, but not those of the checkpoint. One that cannot be read as such is
// added as bytes: it is not for weld to say what it is good for.
func (in *inputs) other(name, path string, how mmapio.Reading) error {
	src, err := mmapio.Open(path, how)
	if err != nil {
		return err
	}
	f := input{name: name, size: src.Size(), header: src.Size(), src: src, foreign: true}
	header, err := safetensors.ReadHeader(path, src, src.Size())
	if err == nil {
		f.holds(header)
	}
	in.files = append(in.files, f)
	if format.KindOf(err) != "" {
		err = nil
	}
	return err
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

// tensors counts those of all files.
func (in *inputs) tensors() (n int) {
	for _, f := range in.files {
		n += len(f.tensors)
	}
	return n
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

// place is where the files are, for the checks of an output.
func (in *inputs) place(name string) destination.Input {
	p := destination.Input{Role: "input", Path: name}
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

// holds notes what is in a shard.
func (f *input) holds(h *safetensors.Header) {
	f.header, f.metadata = h.DataStart, h.Metadata
	f.tensors = slices.Grow(f.tensors, len(h.Tensors))
	for _, e := range h.Tensors {
		f.tensors = append(f.tensors, e.Tensor)
	}
}

// asBytes makes all files that are none of the checkpoint's files of bytes.
func (in *inputs) asBytes() {
	for i := range in.files {
		if f := &in.files[i]; f.foreign {
			f.header, f.tensors, f.metadata = f.size, nil, nil
		}
	}
}

// announce tells a pack of the file that comes.
func (f *input) announce(w writer) (*packed.FileWriter, error) {
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
	Shard(name string, header int64, tensors []format.Tensor, given []byte) (*packed.FileWriter, error)
	Bytes(name string, size int64) (*packed.FileWriter, error)
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
	if in.sum != nil {
		errs = append(errs, in.sum.Close())
	}
	return errors.Join(errs...)
}
