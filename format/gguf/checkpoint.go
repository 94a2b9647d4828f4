package gguf

import (
	"cmp"
	"errors"
	"slices"
	"sync/atomic"

	"weld/format"
	"weld/mmapio"
)

// Checkpoint is an open GGUF file, or all splits of one model. It implements [format.Checkpoint]: tensors in blocks are listed as
// bytes, and [Checkpoint.Blocks] says what they are.
type Checkpoint struct {
	path     string
	beside   format.Folder
	shards   []*shard
	files    []format.InputFile
	tensors  []format.Tensor
	places   []place
	table    format.NameTable
	sought   atomic.Int64 // the tensor that was found last
	metadata map[string]string
	notes    []string
}

// shard is one open file.
type shard struct {
	*mmapio.File
	first  int // of its tensors
	header *Header
}

// place is where a tensor is, and what GGUF says of it.
type place struct {
	begin int64 // in its file
	shape []int64
	store *storage
}

// add takes the tensors of one more file, which the checkpoint then owns.
func (c *Checkpoint) add(file *mmapio.File, h *Header) error {
	c.shards = append(c.shards, &shard{file, len(c.tensors), h})
	c.files = append(c.files, format.InputFile{Path: file.Path(), Info: file.Info(), Digest: h.Digest})
	n := len(c.tensors) + len(h.Tensors)
	c.table.Reserve(n, c.nameAt)
	c.tensors, c.places = slices.Grow(c.tensors, len(h.Tensors)), slices.Grow(c.places, len(h.Tensors))
	for i := range h.Tensors {
		e := &h.Tensors[i]
		store := storages[e.Type]
		c.tensors = append(c.tensors, listed(e, store))
		c.places = append(c.places, place{h.DataStart + e.Begin, e.Shape, store})
		if first, again := c.table.Add(c.nameAt); again {
			return &format.Error{Path: file.Path(), Tensor: e.Name, Kind: format.KindDuplicate, Detail: "it is also in " + c.shards[c.shardOf(first)].Path()}
		}
	}
	h.Tensors = nil // they are held once
	return nil
}

// listed is a tensor as it is listed: as itself, or as the bytes of its blocks.
func listed(e *Entry, store *storage) format.Tensor {
	t := format.Tensor{Name: e.Name, DType: store.plain, Shape: e.Shape}
	if store.plain == format.Invalid {
		t.DType, t.Shape = format.U8, slices.Clone(e.Shape)
		last := len(t.Shape) - 1
		t.Shape[last] = t.Shape[last] / store.Elements * store.Bytes
	}
	return t
}

func (c *Checkpoint) nameAt(i int) string { return c.tensors[i].Name }

// shardOf is the file that holds a tensor.
func (c *Checkpoint) shardOf(i int) int {
	behind, _ := slices.BinarySearchFunc(c.shards, i+1, func(s *shard, i int) int { return cmp.Compare(s.first, i) })
	return behind - 1
}

// Share implements [format.Sharer]: where another checkpoint lists the same tensors, the list is held once.
func (c *Checkpoint) Share(other format.Checkpoint) bool {
	o, ok := other.(*Checkpoint)
	if !ok || !slices.EqualFunc(c.tensors, o.tensors, format.Tensor.Equal) {
		return false
	}
	c.tensors, c.table = o.tensors, o.table
	if slices.EqualFunc(c.places, o.places, func(a, b place) bool {
		return a.begin == b.begin && a.store == b.store && slices.Equal(a.shape, b.shape)
	}) {
		c.places = o.places
	}
	return true
}

// Path implements [format.Checkpoint].
func (c *Checkpoint) Path() string { return c.path }

// Beside implements [format.Accompanied].
func (c *Checkpoint) Beside() format.Folder { return c.beside }

// Tensors implements [format.Checkpoint].
func (c *Checkpoint) Tensors() []format.Tensor { return c.tensors }

// Blocks implements [format.Blocked].
func (c *Checkpoint) Blocks(i int) (b *format.Blocks, shape []int64) {
	p := &c.places[i]
	if p.store.plain != format.Invalid {
		return nil, nil
	}
	return &p.store.Blocks, p.shape
}

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

// Metadata implements [format.Described]: keys and values of the first file, of which long ones are shown shortly.
func (c *Checkpoint) Metadata() map[string]string { return c.metadata }

// Notes implements [format.Noted]: the splits that were opened with one.
func (c *Checkpoint) Notes() []string { return c.notes }

// Files implements [format.Checkpoint].
func (c *Checkpoint) Files() []format.InputFile { return c.files }

// FileOf implements [format.Sharded].
func (c *Checkpoint) FileOf(i int) int { return c.shardOf(i) }

// View implements [format.Checkpoint].
func (c *Checkpoint) View(i int, off, n int64) (mmapio.View, error) {
	if err := format.CheckView(c, i, off, n); err != nil {
		return mmapio.View{}, err
	}
	return c.shards[c.shardOf(i)].View(c.places[i].begin+off, n)
}

// Read implements [format.Copied].
func (c *Checkpoint) Read(i int, off, n int64) (mmapio.View, error) {
	if err := format.CheckView(c, i, off, n); err != nil {
		return mmapio.View{}, err
	}
	return c.shards[c.shardOf(i)].Read(c.places[i].begin+off, n)
}

// Stored implements [format.Verbatim].
func (c *Checkpoint) Stored(i int) (file *mmapio.File, begin int64) {
	return c.shards[c.shardOf(i)].File, c.places[i].begin
}

// ViewCost implements [format.Costly].
func (c *Checkpoint) ViewCost(n int64) int64 { return n }

// Advise implements [format.Advised].
func (c *Checkpoint) Advise(a mmapio.Advice, i int, off, n int64) {
	c.shards[c.shardOf(i)].File.Advise(a, c.places[i].begin+off, n)
}

// Close implements [format.Checkpoint].
func (c *Checkpoint) Close() error {
	var errs []error
	for _, s := range c.shards {
		errs = append(errs, s.File.Close())
	}
	return errors.Join(errs...)
}
