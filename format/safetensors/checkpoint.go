package safetensors

import (
	"cmp"
	"errors"
	"io"
	"os"
	"slices"
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
	parts    []format.Part // of a directory of components
	prefix   string        // of the names of the component that is being opened
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

// Share implements [format.Sharer]: where another checkpoint lists the same tensors, the list is held once.
func (c *Checkpoint) Share(other format.Checkpoint) bool {
	o, ok := other.(*Checkpoint)
	if !ok || !slices.EqualFunc(c.tensors, o.tensors, format.Tensor.Equal) {
		return false
	}
	c.tensors, c.table = o.tensors, o.table
	if slices.Equal(c.begins, o.begins) {
		c.begins = o.begins
	}
	return true
}

func (c *Checkpoint) nameAt(i int) string { return c.tensors[i].Name }

// shardOf is the shard that holds a tensor.
func (c *Checkpoint) shardOf(i int) int {
	behind, _ := slices.BinarySearchFunc(c.shards, i+1, func(s *shard, i int) int { return cmp.Compare(s.first, i) })
	return behind - 1
}

// Path implements [format.Checkpoint].
func (c *Checkpoint) Path() string { return c.path }

// Beside implements [format.Accompanied].
func (c *Checkpoint) Beside() format.Folder { return c.beside }

// Parts implements [format.Composed].
func (c *Checkpoint) Parts() []format.Part { return c.parts }

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

// Note adds what whoever opened the checkpoint has to say of it.
func (c *Checkpoint) Note(text string) { c.notes = append(c.notes, text) }

// Notes implements [format.Noted].
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
	return c.shards[c.shardOf(i)].View(c.begins[i]+off, n)
}

// Read implements [format.Copied].
func (c *Checkpoint) Read(i int, off, n int64) (mmapio.View, error) {
	if err := format.CheckView(c, i, off, n); err != nil {
		return mmapio.View{}, err
	}
	return c.shards[c.shardOf(i)].Read(c.begins[i]+off, n)
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
