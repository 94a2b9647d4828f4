package safetensors

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"weld/format"
	"weld/mmapio"
)

// Source is a stored file of the safetensors layout. [mmapio.File] is one; so is a
// compressed file that can be read at random offsets.
type Source interface {
	io.ReaderAt
	Path() string
	Info() os.FileInfo
	Size() int64
	View(off, n int64) (mmapio.View, error)
	Peek(off, n int64) (mmapio.View, error)
	Advise(a mmapio.Advice, off, n int64)
	Unchanged() error
	Close() error
}

// Names that the Hub gives to the files of a checkpoint.
const (
	SingleName = "model.safetensors"
	IndexName  = "model.safetensors.index.json"
)

// Checkpoint is an open safetensors checkpoint. It implements
// [format.Checkpoint].
type Checkpoint struct {
	path     string
	beside   format.Folder
	shards   []*shard
	files    []format.File // of the shards, then of the index
	tensors  []format.Tensor
	places   []place // of each tensor
	names    map[string]int
	metadata map[string]string
	notes    []string
}

// shard is one open file and its header.
type shard struct {
	Source
	header *Header
}

// place is where a tensor's bytes begin.
type place struct {
	shard  int
	offset int64
}

// OpenFile opens a single file, whose source the checkpoint then owns.
func OpenFile(path string, src Source) (*Checkpoint, error) {
	c := &Checkpoint{path: path, notes: partNotes(path)}
	if filepath.Base(path) == SingleName {
		c.beside = format.Directory(filepath.Dir(path))
	}
	if err := c.add(src); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c.finish()
}

// OpenFolder opens a Hub directory, or what holds the files of one: the shards of its index,
// its only safetensors file, or numbered ones. open opens one of them by name.
func OpenFolder(dir format.Folder, open func(name string) (Source, error)) (*Checkpoint, error) {
	chosen, err := choose(dir)
	if err != nil {
		return nil, err
	}
	return chosen.open(dir, open)
}

// OpenIndex opens the shards of one index of a directory.
func OpenIndex(dir format.Folder, name string, open func(name string) (Source, error)) (*Checkpoint, error) {
	return choice{index: name}.open(dir, open)
}

func (chosen choice) open(dir format.Folder, open func(name string) (Source, error)) (*Checkpoint, error) {
	var index *Index
	var stored format.File
	if chosen.index != "" {
		var err error
		if index, stored, err = readIndex(dir, chosen.index); err != nil {
			return nil, err
		}
		chosen.shards = index.Shards()
		if err := chosen.unrivalled(dir, chosen.shards); err != nil {
			return nil, err
		}
	}
	c := &Checkpoint{path: dir.Path(), beside: dir, notes: chosen.notes}
	for _, name := range chosen.shards {
		src, err := open(name)
		if errors.Is(err, os.ErrNotExist) {
			err = chosen.missing(dir, name, err)
		}
		if err == nil {
			err = c.add(src)
		}
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	if chosen.index != "" {
		c.files = append(c.files, stored)
		if err := c.agree(index, stored.Path); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c.finish()
}

// readIndex reads an index of a directory.
func readIndex(dir format.Folder, name string) (*Index, format.File, error) {
	info, err := dir.Stat(name)
	if errors.Is(err, os.ErrNotExist) {
		err = choice{}.missing(dir, name, err)
	}
	if err != nil {
		return nil, format.File{}, err
	}
	raw, err := dir.Read(name, MaxHeader)
	if err != nil {
		return nil, format.File{}, err
	}
	path := dir.Join(name)
	index, err := ParseIndex(path, raw)
	return index, format.File{Path: path, Info: info, Digest: sha256.Sum256(raw)}, err
}

// IsWeights reports whether a file name is that of a safetensors file or of an
// index over some.
func IsWeights(name string) bool {
	name = strings.ToLower(name)
	return strings.HasSuffix(name, ".safetensors") || strings.HasSuffix(name, ".safetensors.zst") || IsIndex(name)
}

// add reads the header of one more file.
func (c *Checkpoint) add(src Source) error {
	s := &shard{Source: src}
	c.shards = append(c.shards, s) // so that Close closes it
	header, err := ReadHeader(src.Path(), src, src.Size())
	if err != nil {
		return err
	}
	s.header = header
	digest := sha256.New()
	head := io.NewSectionReader(src, 0, header.DataStart)
	if _, err := io.Copy(digest, head); err != nil {
		return err
	}
	c.files = append(c.files, format.File{Path: src.Path(), Info: src.Info(), Digest: [sha256.Size]byte(digest.Sum(nil))})
	return nil
}

// agree demands that index and shards name the same tensors in the same places.
func (c *Checkpoint) agree(index *Index, path string) error {
	declared := make(map[string]string, len(index.WeightMap))
	for _, w := range index.WeightMap {
		declared[w.Name] = w.Shard
	}
	for _, s := range c.shards {
		base := filepath.Base(s.Path())
		for _, e := range s.header.Tensors {
			switch at, ok := declared[e.Name]; {
			case !ok:
				return &format.Error{Path: path, Tensor: e.Name, Kind: format.KindIndex, Detail: base + " holds the tensor, but the index does not list it"}
			case at != base:
				return &format.Error{Path: path, Tensor: e.Name, Kind: format.KindIndex, Detail: fmt.Sprintf("the index places it in %s, but it is (also) in %s", at, base)}
			}
			delete(declared, e.Name)
		}
	}
	for _, w := range index.WeightMap {
		if _, missing := declared[w.Name]; missing {
			return &format.Error{Path: path, Tensor: w.Name, Kind: format.KindIndex, Detail: "the index places it in " + w.Shard + ", which does not hold it"}
		}
	}
	return nil
}

// finish builds the list of tensors.
func (c *Checkpoint) finish() (*Checkpoint, error) {
	c.names = make(map[string]int)
	c.metadata = make(map[string]string)
	for i, s := range c.shards {
		for k, v := range s.header.Metadata {
			if _, taken := c.metadata[k]; !taken {
				c.metadata[k] = v
			}
		}
		for _, e := range s.header.Tensors {
			if other, taken := c.names[e.Name]; taken {
				err := &format.Error{Path: s.Path(), Tensor: e.Name, Kind: format.KindDuplicate, Detail: "it is also in " + c.shards[c.places[other].shard].Path()}
				return nil, errors.Join(err, c.Close())
			}
			c.names[e.Name] = len(c.tensors)
			c.tensors = append(c.tensors, e.Tensor)
			c.places = append(c.places, place{shard: i, offset: s.header.DataStart + e.Begin})
		}
	}
	return c, nil
}

// Path implements [format.Checkpoint].
func (c *Checkpoint) Path() string { return c.path }

// Beside implements [format.Checkpoint].
func (c *Checkpoint) Beside() format.Folder { return c.beside }

// Tensors implements [format.Checkpoint].
func (c *Checkpoint) Tensors() []format.Tensor { return c.tensors }

// Find implements [format.Checkpoint].
func (c *Checkpoint) Find(name string) (int, bool) {
	i, ok := c.names[name]
	return i, ok
}

// Metadata implements [format.Checkpoint]: the first shard's word wins.
func (c *Checkpoint) Metadata() map[string]string { return c.metadata }

// Notes implements [format.Noted].
func (c *Checkpoint) Notes() []string { return c.notes }

// Files implements [format.Checkpoint].
func (c *Checkpoint) Files() []format.File { return c.files }

// FileOf implements [format.Checkpoint].
func (c *Checkpoint) FileOf(i int) int { return c.places[i].shard }

// View implements [format.Checkpoint].
func (c *Checkpoint) View(i int, off, n int64) (mmapio.View, error) {
	if err := c.covers(i, off, n); err != nil {
		return mmapio.View{}, err
	}
	p := c.places[i]
	return c.shards[p.shard].View(p.offset+off, n)
}

// Peek implements [format.Checkpoint].
func (c *Checkpoint) Peek(i int, off, n int64) (mmapio.View, error) {
	if err := c.covers(i, off, n); err != nil {
		return mmapio.View{}, err
	}
	p := c.places[i]
	return c.shards[p.shard].Peek(p.offset+off, n)
}

// covers refuses what reaches beyond tensor i.
func (c *Checkpoint) covers(i int, off, n int64) error {
	if size := c.tensors[i].Bytes(); off < 0 || n < 0 || off > size-n {
		return fmt.Errorf("%s: tensor %q: bytes [%d, %d) are not inside its %d", c.path, c.tensors[i].Name, off, off+n, size)
	}
	return nil
}

// Stored implements [format.Checkpoint].
func (c *Checkpoint) Stored(i int) (file *mmapio.File, begin int64) {
	p := c.places[i]
	file, _ = c.shards[p.shard].Source.(*mmapio.File)
	return file, p.offset
}

// ViewCost implements [format.Checkpoint].
func (c *Checkpoint) ViewCost(n int64) int64 {
	cost := n
	for _, s := range c.shards {
		if costly, ok := s.Source.(interface{ ViewCost(n int64) int64 }); ok {
			cost = max(cost, costly.ViewCost(n))
		}
	}
	return cost
}

// Advise implements [format.Checkpoint].
func (c *Checkpoint) Advise(a mmapio.Advice, i int, off, n int64) {
	p := c.places[i]
	c.shards[p.shard].Advise(a, p.offset+off, n)
}

// Unchanged implements [format.Checkpoint].
func (c *Checkpoint) Unchanged() error {
	for _, s := range c.shards {
		if err := s.Unchanged(); err != nil {
			return err
		}
	}
	for _, f := range c.files[len(c.shards):] { // the index, which is not kept open
		if err := mmapio.Unchanged(f.Path, f.Info); err != nil {
			return err
		}
	}
	return nil
}

// Close implements [format.Checkpoint].
func (c *Checkpoint) Close() error {
	var errs []error
	for _, s := range c.shards {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
