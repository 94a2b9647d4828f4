package safetensors

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

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
	Read(off, n int64) (mmapio.View, error)
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
// [format.Checkpoint]. For each tensor it holds its name, some 64 bytes, and a slot of a table.
type Checkpoint struct {
	path     string
	beside   format.Folder
	shards   []*shard
	files    []format.InputFile // of the shards, then of the index
	tensors  []format.Tensor
	begins   []int64 // of each tensor, in its shard
	table    format.NameTable
	sought   atomic.Int64 // the tensor that was found last
	twice    *twice       // nil, if no two shards hold the same tensor
	metadata map[string]string
	notes    []string
}

// shard is one open file.
type shard struct {
	Source
	first    int   // of its tensors
	header   int64 // bytes before them
	metadata map[string]string
}

// OpenShard is one file of an open checkpoint.
type OpenShard struct {
	Source
	HeaderSize int64           // bytes before the tensors
	Tensors    []format.Tensor // in the order of their bytes; shared
	Metadata   map[string]string
}

// Shards are the open files that hold the tensors, in order. They end with the checkpoint.
func (c *Checkpoint) Shards() []OpenShard {
	list := make([]OpenShard, len(c.shards))
	end := len(c.tensors)
	for i, s := range slices.Backward(c.shards) {
		list[i] = OpenShard{s.Source, s.header, c.tensors[s.first:end:end], s.metadata}
		end = s.first
	}
	return list
}

// twice is a tensor that two shards hold.
type twice struct {
	name   string
	shards [2]*shard
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
	c := &Checkpoint{path: dir.Path(), beside: dir, notes: chosen.notes}
	var index *listing
	if chosen.index != "" {
		var err error
		if index, err = readIndex(dir, chosen.index); err != nil {
			return nil, err
		}
		chosen.shards = index.shards
		if err := chosen.unrivalled(dir, chosen.shards); err != nil {
			return nil, err
		}
		c.reserve(index.tensors)
	}
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
	if index != nil {
		c.files = append(c.files, index.file)
		if err := c.agree(index, dir); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c.finish()
}

// listing is what is kept of an index: it is read once to find the shards, and again to hold it against them.
type listing struct {
	name    string
	file    format.InputFile
	shards  []string // each once, sorted
	tensors int
}

// readIndex reads an index of a directory.
func readIndex(dir format.Folder, name string) (*listing, error) {
	info, err := dir.Stat(name)
	if errors.Is(err, os.ErrNotExist) {
		err = choice{}.missing(dir, name, err)
	}
	if err != nil {
		return nil, err
	}
	path := dir.Join(name)
	if info.Mode().IsRegular() && info.Size() > MaxIndex { // what is not regular cannot be opened
		return nil, &format.Error{Path: path, Kind: format.KindIndex, Detail: fmt.Sprintf("an index of %d bytes is over the limit of %d", info.Size(), int64(MaxIndex))}
	}
	l := &listing{name: name, file: format.InputFile{Path: path, Info: info}}
	shards := make(map[string]bool)
	last := ""
	l.file.Digest, err = scanIndex(dir, name, func(_ []byte, shard string, _ int64) error {
		l.tensors++
		if shard != last {
			shards[shard], last = true, shard
		}
		return nil
	})
	l.shards = slices.Sorted(maps.Keys(shards))
	return l, err
}

// scanIndex reads the directory's index as [ScanIndex] does.
func scanIndex(dir format.Folder, name string, found func(name []byte, shard string, at int64) error) (digest [sha256.Size]byte, err error) {
	file, err := dir.Open(name)
	if err != nil {
		return digest, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return digest, err
	}
	sum := sha256.New()
	text := bufio.NewReaderSize(io.TeeReader(io.LimitReader(file, MaxIndex), sum), format.ForeignHead)
	head, err := text.Peek(format.ForeignHead)
	if err != nil && err != io.EOF {
		return digest, fmt.Errorf("read %s: %w", dir.Join(name), err)
	}
	if err := dir.Genuine(name, head, info.Size()); err != nil {
		return digest, err
	}
	err = ScanIndex(dir.Join(name), text, found)
	return [sha256.Size]byte(sum.Sum(nil)), err
}

// IsWeights reports whether a file name is that of a safetensors file or of an
// index over some.
func IsWeights(name string) bool {
	name = strings.ToLower(name)
	return strings.HasSuffix(name, ".safetensors") || strings.HasSuffix(name, ".safetensors.zst") || IsIndex(name)
}

// add reads the header of one more file, and takes its tensors.
func (c *Checkpoint) add(src Source) error {
	s := &shard{Source: src, first: len(c.tensors)}
	c.shards = append(c.shards, s) // so that Close closes it
	header, err := ReadHeader(src.Path(), src, src.Size())
	if err != nil {
		return err
	}
	digest := sha256.New()
	if _, err := io.Copy(digest, io.NewSectionReader(src, 0, header.DataStart)); err != nil {
		return err
	}
	s.header, s.metadata = header.DataStart, header.Metadata
	c.files = append(c.files, format.InputFile{Path: src.Path(), Info: src.Info(), Digest: [sha256.Size]byte(digest.Sum(nil))})
	c.take(header)
	return nil
}

// take takes what a header says.
func (c *Checkpoint) take(header *Header) {
	if c.metadata == nil {
		c.metadata = make(map[string]string)
	}
	for k, v := range header.Metadata {
		if _, taken := c.metadata[k]; !taken {
			c.metadata[k] = v
		}
	}
	c.reserve(len(header.Tensors))
	for _, e := range header.Tensors {
		c.tensors = append(c.tensors, e.Tensor)
		if first, again := c.table.Add(c.nameAt); again {
			c.twice = &twice{e.Name, [2]*shard{c.shards[c.shardOf(first)], c.shards[len(c.shards)-1]}}
		}
		c.begins = append(c.begins, header.DataStart+e.Begin)
	}
}

// reserve makes room for n tensors more.
func (c *Checkpoint) reserve(n int) {
	c.table.Reserve(len(c.tensors)+n, c.nameAt)
	if n > cap(c.tensors)-len(c.tensors) {
		c.tensors, c.begins = slices.Grow(c.tensors, n), slices.Grow(c.begins, n)
	}
}

// Share implements [format.Sharer]: where another checkpoint lists the same tensors, the list is held once.
func (c *Checkpoint) Share(other format.Checkpoint) bool {
	o, ok := other.(*Checkpoint)
	same := func(a, b format.Tensor) bool {
		return a.Name == b.Name && a.DType == b.DType && a.Stored == b.Stored && slices.Equal(a.Shape, b.Shape)
	}
	if !ok || !slices.EqualFunc(c.tensors, o.tensors, same) {
		return false
	}
	c.tensors, c.table = o.tensors, o.table
	if slices.Equal(c.begins, o.begins) {
		c.begins = o.begins
	}
	return true
}

func (c *Checkpoint) nameAt(i int) string { return c.tensors[i].Name }

// agree demands that index and shards name the same tensors in the same places.
func (c *Checkpoint) agree(index *listing, dir format.Folder) error {
	path := dir.Join(index.name)
	fault := func(kind format.Kind, tensor, detail string, args ...any) error {
		return &format.Error{Path: path, Tensor: tensor, Kind: kind, Detail: fmt.Sprintf(detail, args...)}
	}
	base := func(s *shard) string { return filepath.Base(s.Path()) }
	listed := make([]bool, len(c.tensors))
	i := -1
	digest, err := scanIndex(dir, index.name, func(name []byte, shard string, at int64) error {
		if i++; i >= len(c.tensors) || c.tensors[i].Name != string(name) { // it often is the next one
			found, ok := c.table.FindBytes(name, c.nameAt)
			if !ok {
				return fault(format.KindIndex, string(name), "the index places it in %s, which does not hold it", shard)
			}
			i = found
		}
		if listed[i] {
			return fault(format.KindDuplicate, string(name), "byte %d: it is listed twice", at)
		}
		listed[i] = true
		elsewhere := base(c.shards[c.shardOf(i)])
		if c.twice != nil && elsewhere == shard && c.twice.name == string(name) {
			elsewhere = base(c.twice.shards[1])
		}
		if elsewhere != shard {
			return fault(format.KindIndex, string(name), "the index places it in %s, but it is (also) in %s", shard, elsewhere)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if i := slices.Index(listed, false); i >= 0 {
		return fault(format.KindIndex, c.tensors[i].Name, "%s holds the tensor, but the index does not list it", base(c.shards[c.shardOf(i)]))
	}
	if digest != index.file.Digest {
		return &mmapio.ChangedError{Path: path, What: "its content"}
	}
	return nil
}

// finish demands that no tensor is in two shards.
func (c *Checkpoint) finish() (*Checkpoint, error) {
	if t := c.twice; t != nil {
		err := &format.Error{Path: t.shards[1].Path(), Tensor: t.name, Kind: format.KindDuplicate, Detail: "it is also in " + t.shards[0].Path()}
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// shardOf is the shard that holds a tensor.
func (c *Checkpoint) shardOf(i int) int {
	behind, _ := slices.BinarySearchFunc(c.shards, i+1, func(s *shard, i int) int { return cmp.Compare(s.first, i) })
	return behind - 1
}

// Path implements [format.Checkpoint].
func (c *Checkpoint) Path() string { return c.path }

// Beside implements [format.Accompanied].
func (c *Checkpoint) Beside() format.Folder { return c.beside }

// Tensors implements [format.Checkpoint].
func (c *Checkpoint) Tensors() []format.Tensor { return c.tensors }

// Find implements [format.Checkpoint].
func (c *Checkpoint) Find(name string) (int, bool) {
	next := int(c.sought.Load()) + 1 // whoever walks through another checkpoint of the same names asks in order
	if next >= len(c.tensors) || c.tensors[next].Name != name {
		var ok bool
		if next, ok = c.table.Find(name, c.nameAt); !ok {
			return 0, false
		}
	}
	c.sought.Store(int64(next))
	return next, true
}

// Metadata implements [format.Described]: the first shard's word wins.
func (c *Checkpoint) Metadata() map[string]string { return c.metadata }

// Notes implements [format.Noted].
func (c *Checkpoint) Notes() []string { return c.notes }

// Files implements [format.Checkpoint].
func (c *Checkpoint) Files() []format.InputFile { return c.files }

// FileOf implements [format.Sharded].
func (c *Checkpoint) FileOf(i int) int { return c.shardOf(i) }

// View implements [format.Checkpoint].
func (c *Checkpoint) View(i int, off, n int64) (mmapio.View, error) {
	if err := c.covers(i, off, n); err != nil {
		return mmapio.View{}, err
	}
	return c.shards[c.shardOf(i)].View(c.begins[i]+off, n)
}

// Read implements [format.Copied].
func (c *Checkpoint) Read(i int, off, n int64) (mmapio.View, error) {
	if err := c.covers(i, off, n); err != nil {
		return mmapio.View{}, err
	}
	return c.shards[c.shardOf(i)].Read(c.begins[i]+off, n)
}

// covers refuses what reaches beyond tensor i.
func (c *Checkpoint) covers(i int, off, n int64) error {
	if size := c.tensors[i].Bytes(); off < 0 || n < 0 || off > size-n {
		return fmt.Errorf("%s: tensor %q: bytes [%d, %d) are not inside its %d", c.path, c.tensors[i].Name, off, off+n, size)
	}
	return nil
}

// Stored implements [format.Verbatim].
func (c *Checkpoint) Stored(i int) (file *mmapio.File, begin int64) {
	file, _ = c.shards[c.shardOf(i)].Source.(*mmapio.File)
	return file, c.begins[i]
}

// ViewCost implements [format.Costly].
func (c *Checkpoint) ViewCost(n int64) int64 {
	cost := n
	for _, s := range c.shards {
		if costly, ok := s.Source.(interface{ ViewCost(n int64) int64 }); ok {
			cost = max(cost, costly.ViewCost(n))
		}
	}
	return cost
}

// Advise implements [format.Advised].
func (c *Checkpoint) Advise(a mmapio.Advice, i int, off, n int64) {
	c.shards[c.shardOf(i)].Advise(a, c.begins[i]+off, n)
}

// Close implements [format.Checkpoint].
func (c *Checkpoint) Close() error {
	var errs []error
	for _, s := range c.shards {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
