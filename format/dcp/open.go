package dcp

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"os"
	"slices"
	"strings"

	"weld/format"
	"weld/format/gather"
	"weld/format/torch"
)

// MetadataName is the file that makes a directory a checkpoint of torch.distributed.checkpoint; FileSuffix ends the names of its others.
const (
	MetadataName = ".metadata"
	FileSuffix   = ".distcp"
)

// IsFolder reports whether a directory is such a checkpoint, or what is left of one.
func IsFolder(dir format.Folder) bool {
	if info, err := dir.Stat(MetadataName); err == nil && info.Mode().IsRegular() {
		return true
	}
	entries, _ := dir.ReadDir(".")
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool { return !e.IsDir() && strings.HasSuffix(e.Name(), FileSuffix) })
}

// Open opens a checkpoint: the state dict that key says, as [torch.State] reads it. open opens a file by name.
func Open(dir format.Folder, key string, open func(name string) (torch.Source, error)) (*torch.Checkpoint, error) {
	raw, err := dir.Bytes(MetadataName, torch.MaxPickle)
	if err != nil {
		return nil, err
	}
	if raw == nil {
		return nil, absent(dir)
	}
	m, err := parse(dir.Join(MetadataName), raw)
	if err != nil {
		return nil, err
	}
	tensors, notes, err := torch.State(dir.Path(), m.tree, key)
	if err != nil {
		return nil, err
	}
	info, err := dir.Stat(MetadataName)
	if err != nil {
		return nil, err
	}
	r := &reading{metadata: m, dir: dir, open: open, numbers: make(map[string]int)}
	list := make([]torch.Placed, 0, len(tensors))
	for _, t := range tensors {
		p, err := r.tensor(t.Name, m.leaves[t.Tensor])
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		list = append(list, p)
	}
	path := dir.Path()
	if key != "" {
		path += "#" + key
	}
	files := append(r.files(), format.InputFile{Path: m.path, Info: info, Digest: sha256.Sum256(append(raw, key...))})
	return torch.Assemble(path, dir, r.sources, files, list, notes)
}

// absent is the error for a directory without its metadata.
func absent(dir format.Folder) error {
	detail := "no such file, though files *" + FileSuffix + " are there: the checkpoint was never completed"
	if info, err := dir.Stat("__0" + MetadataName); err == nil && info.Mode().IsRegular() {
		detail = "no such file; each rank has one of its own (use_collectives=False), and nothing says what they are together"
	}
	return &format.Error{Path: dir.Join(MetadataName), Kind: format.KindMissing, Detail: detail}
}

// reading is a checkpoint whose files are being read.
type reading struct {
	*metadata
	dir     format.Folder
	open    func(name string) (torch.Source, error)
	sources []torch.Source
	digests []hash.Hash // of each, of all but the bytes of tensors
	numbers map[string]int
}

func (r *reading) close() error {
	var errs []error
	for _, s := range r.sources {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// files are what stands for the sources.
func (r *reading) files() (list []format.InputFile) {
	for i, s := range r.sources {
		list = append(list, format.InputFile{Path: s.Path(), Info: s.Info(), Digest: [sha256.Size]byte(r.digests[i].Sum(nil))})
	}
	return list
}

// source is the number of a file, which is opened if it is not open yet.
func (r *reading) source(tensor, name string) (int, error) {
	if i, ok := r.numbers[name]; ok {
		return i, nil
	}
	src, err := r.open(name)
	if errors.Is(err, os.ErrNotExist) {
		return 0, &format.Error{Path: r.dir.Join(name), Tensor: tensor, Kind: format.KindMissing, Detail: MetadataName + " names the file, and it is not there"}
	}
	if err != nil {
		return 0, err
	}
	r.numbers[name] = len(r.sources)
	r.sources, r.digests = append(r.sources, src), append(r.digests, sha256.New())
	return len(r.sources) - 1, nil
}

// tensor puts a tensor together, under the name that it has in its state dict.
func (r *reading) tensor(name string, t *saved) (torch.Placed, error) {
	if t.dtype == format.Invalid {
		return torch.Placed{}, r.fault(format.KindDType, t.name, "a tensor of torch.%s, a type that safetensors does not have either", t.odd)
	}
	if t.dtype == format.F4 {
		return torch.Placed{}, r.fault(format.KindUnsupported, t.name, "a tensor of torch.%s, whose elements are pairs", t.odd)
	}
	p := torch.Placed{Tensor: format.Tensor{Name: name, DType: t.dtype, Shape: t.shape}}
	l := &gather.Layout{Shape: t.shape, Width: t.dtype.Align()}
	for _, c := range t.chunks {
		if n, ok := format.Elements(c.shape); ok && n == 0 && len(c.shape) == len(t.shape) {
			continue
		}
		piece, err := r.piece(t, c)
		if err != nil {
			return p, err
		}
		l.Pieces = append(l.Pieces, piece)
	}
	slices.SortFunc(l.Pieces, func(a, b gather.Piece) int { return slices.Compare(a.Offset, b.Offset) })
	if err := l.Check(); err != nil {
		return p, r.fault(format.KindShape, t.name, "put its %d chunks together: %v", len(t.chunks), err)
	}
	if len(l.Pieces) == 0 { // no elements: it lies nowhere
		p.Layout = l
		return p, nil
	}
	first := l.Pieces[0]
	p.Source, p.Begin = first.Source, first.Begin
	if len(l.Pieces) > 1 || !gather.InRow(first.Shape, first.Strides) {
		p.Layout = l
	}
	return p, nil
}

// piece reads what torch.save wrote of a box, and says where its elements are.
func (r *reading) piece(t *saved, c chunk) (gather.Piece, error) {
	if c.at == nil {
		return gather.Piece{}, r.fault(format.KindMissing, t.name, "nothing says where its chunk at %v is", c.offset)
	}
	number, err := r.source(t.name, c.at.file)
	if err != nil {
		return gather.Piece{}, err
	}
	src := r.sources[number]
	fault := func(kind format.Kind, text string, args ...any) (gather.Piece, error) {
		return gather.Piece{}, &format.Error{Path: src.Path(), Tensor: t.name, Kind: kind, Detail: fmt.Sprintf(text, args...)}
	}
	if c.at.begin > src.Size() || c.at.length > src.Size()-c.at.begin {
		return fault(format.KindTruncated, "its chunk at %v takes %d bytes from byte %d on, and the file has %d", c.offset, c.at.length, c.at.begin, src.Size())
	}
	s, err := torch.Read(src.Path(), src, c.at.begin, c.at.length, nil)
	if err != nil {
		return gather.Piece{}, fmt.Errorf("chunk at byte %d, of tensor %q: %w", c.at.begin, clip(t.name), err)
	}
	r.digests[number].Write(s.Digest[:])
	x, ok := s.Value.(*torch.Tensor)
	if !ok {
		return fault(format.KindType, "its chunk at %v is no tensor", c.offset)
	}
	if err := s.Plain(t.name, x); err != nil {
		return gather.Piece{}, err
	}
	if x.DType != t.dtype || !slices.Equal(x.Shape, c.shape) {
		return fault(format.KindShape, "its chunk at %v is %v of shape %v, and %s says %v of shape %v", c.offset, x.DType, x.Shape, MetadataName, t.dtype, c.shape)
	}
	return s.Piece(x, number, c.offset), nil
}
