package torch

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"strings"

	"weld/format"
	"weld/format/gather"
	"weld/format/pickle"
)

// The Hub's names of files that torch.save wrote.
const (
	SingleName  = "pytorch_model.bin"
	IndexName   = "pytorch_model.bin.index.json"
	indexSuffix = ".bin.index.json"
)

// suffixes end the names of such files.
var suffixes = []string{".bin", ".pt", ".pth", ".ckpt"}

// IsFile reports whether a file name is one that torch.save is given.
func IsFile(name string) bool {
	name = strings.ToLower(name)
	for _, s := range suffixes {
		if strings.HasSuffix(name, s) {
			return true
		}
	}
	return false
}

// IsIndex reports whether a file name is that of an index over such files.
func IsIndex(name string) bool { return strings.HasSuffix(strings.ToLower(name), indexSuffix) }

// OpenFile opens one file, whose source the checkpoint then owns: the state dict that key says, as [Saved.State] reads it.
func OpenFile(path string, src Source, key string) (*Checkpoint, error) {
	c := &Checkpoint{path: named(path, key)}
	if base := filepath.Base(path); base == SingleName {
		c.beside = format.Directory(filepath.Dir(path))
	}
	return c.finish(nil, c.add(src, key))
}

// named is a path with the key of what is meant in it.
func named(path, key string) string {
	if key == "" {
		return path
	}
	return path + "#" + key
}

// add reads one more file, and takes the tensors of a state dict in it.
func (c *Checkpoint) add(src Source, key string) error {
	s, tensors, err := c.read(src, key)
	if err != nil {
		return err
	}
	list := make([]Placed, len(tensors))
	for i, t := range tensors {
		if list[i], err = s.Placed(t, len(c.sources)-1); err != nil {
			return err
		}
	}
	c.take(list)
	return nil
}

// read reads one more file, which is closed with the checkpoint.
func (c *Checkpoint) read(src Source, key string) (*Saved, []Named, error) {
	c.sources = append(c.sources, src)
	s, err := Read(src.Path(), src, 0, src.Size(), nil)
	if err != nil {
		return nil, nil, err
	}
	tensors, notes, err := s.State(key)
	if err != nil {
		return nil, nil, err
	}
	c.notes = append(c.notes, notes...)
	c.files = append(c.files, format.InputFile{Path: src.Path(), Info: src.Info(), Digest: sha256.Sum256(append(s.Digest[:], key...))})
	c.describe(s)
	return s, tensors, nil
}

// describe takes what a file says about itself: text under keys of weld's.
func (c *Checkpoint) describe(s *Saved) {
	d, ok := s.Value.(*pickle.Dict)
	if !ok {
		return
	}
	for _, item := range d.Items {
		key, _ := item.Key.(string)
		if value, isText := item.Value.(string); isText && strings.HasPrefix(key, "weld.") {
			if c.metadata == nil {
				c.metadata = make(map[string]string)
			}
			c.metadata[key] = value
		}
	}
}

// Placed finds where a tensor of a file of some number lies.
func (s *Saved) Placed(t Named, source int) (Placed, error) {
	if err := s.Plain(t.Name, t.Tensor); err != nil {
		return Placed{}, err
	}
	shown, _ := t.Tensor.format(t.Name)
	p := Placed{Tensor: shown, Source: source, Begin: s.Begin(t.Tensor)}
	if shown.Elements() > 0 && !t.Tensor.inRow() {
		p.Layout = &gather.Layout{Shape: shown.Shape, Width: t.Tensor.width(), Pieces: []gather.Piece{s.Piece(t.Tensor, source, make([]int64, len(shown.Shape)))}}
		if err := p.Layout.Check(); err != nil {
			return Placed{}, &format.Error{Path: s.archive.path, Tensor: t.Name, Kind: format.KindShape, Err: err, Detail: fmt.Sprintf("the strides %v", t.Tensor.Strides)}
		}
	}
	return p, nil
}
