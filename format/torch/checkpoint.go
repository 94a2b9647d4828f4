package torch

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"weld/format"
	"weld/format/gather"
	"weld/format/safetensors"
	"weld/mmapio"
)

// Source is a file that torch.save wrote.
type Source = safetensors.Source

// Checkpoint is the tensors of one or several files that torch.save wrote. It implements [format.Checkpoint].
type Checkpoint struct {
	path     string
	beside   format.Folder
	sources  []Source
	files    []format.InputFile // of the sources, then of an index or a configuration
	tensors  []format.Tensor
	places   []place
	table    format.NameTable
	metadata map[string]string
	notes    []string
	lent     mmapio.Buffers
}

// place is where a tensor is: in a row of bytes of one file, or as a layout says.
type place struct {
	begin  int64
	source int32
	layout *gather.Layout
}

func (c *Checkpoint) nameAt(i int) string { return c.tensors[i].Name }

// Path implements [format.Checkpoint].
func (c *Checkpoint) Path() string { return c.path }

// Beside implements [format.Accompanied].
func (c *Checkpoint) Beside() format.Folder { return c.beside }

// Tensors implements [format.Checkpoint].
func (c *Checkpoint) Tensors() []format.Tensor { return c.tensors }

// Find implements [format.Checkpoint].
func (c *Checkpoint) Find(name string) (int, bool) { return c.table.Find(name, c.nameAt) }

// Metadata implements [format.Described]: what was saved under keys that begin with "weld.".
func (c *Checkpoint) Metadata() map[string]string { return c.metadata }

// Notes implements [format.Noted].
func (c *Checkpoint) Notes() []string { return c.notes }

// Note adds a note, before anybody else has the checkpoint.
func (c *Checkpoint) Note(text string) { c.notes = append(c.notes, text) }

// Files implements [format.Checkpoint].
func (c *Checkpoint) Files() []format.InputFile { return c.files }

// FileOf implements [format.Sharded]: of what is put together, the first file.
func (c *Checkpoint) FileOf(i int) int { return int(c.places[i].source) }

// View implements [format.Checkpoint].
func (c *Checkpoint) View(i int, off, n int64) (mmapio.View, error) {
	return c.lend(i, off, n, Source.View)
}

// Read implements [format.Copied].
func (c *Checkpoint) Read(i int, off, n int64) (mmapio.View, error) {
	return c.lend(i, off, n, Source.Read)
}

// lend lends bytes of a file, or a buffer with elements that are gathered.
func (c *Checkpoint) lend(i int, off, n int64, from func(s Source, off, n int64) (mmapio.View, error)) (mmapio.View, error) {
	t, p := &c.tensors[i], c.places[i]
	if err := format.CheckView(c, i, off, n); err != nil {
		return mmapio.View{}, err
	}
	if p.layout == nil {
		return from(c.sources[p.source], p.begin+off, n)
	}
	view, err := c.lent.Lend(off, n, p.layout.Width, func(data []byte, first int64) error {
		return p.layout.Read(data, first, func(i int) gather.Source { return c.sources[i] })
	})
	if err != nil {
		return mmapio.View{}, fmt.Errorf("%s: tensor %q: gather its elements: %w", c.path, t.Name, err)
	}
	return view, nil
}

// ViewCost implements [format.Costly]: the elements at both ends whole, and a window of a file.
func (c *Checkpoint) ViewCost(n int64) int64 {
	window := int64(0)
	if slices.ContainsFunc(c.places, func(p place) bool { return p.layout != nil }) {
		window = gather.Window
	}
	cost := n
	for _, s := range c.sources {
		if costly, ok := s.(interface{ ViewCost(n int64) int64 }); ok {
			cost = max(cost, costly.ViewCost(max(n, window)))
		}
	}
	if window > 0 {
		cost = max(cost, window) + n + 2*widest
	}
	return cost
}

// widest is the bytes of the widest element.
const widest = 8

// Stored implements [format.Verbatim].
func (c *Checkpoint) Stored(i int) (file *mmapio.File, begin int64) {
	p := c.places[i]
	if p.layout != nil {
		return nil, 0
	}
	file, _ = c.sources[p.source].(*mmapio.File)
	return file, p.begin
}

// Advise implements [format.Advised], for what lies in rows.
func (c *Checkpoint) Advise(a mmapio.Advice, i int, off, n int64) {
	p := c.places[i]
	if p.layout == nil {
		c.sources[p.source].Advise(a, p.begin+off, n)
		return
	}
	width := p.layout.Width
	lo, hi := off/width, (off+n+width-1)/width
	p.layout.Stretches(lo, hi-lo, func(s gather.Stretch) { c.sources[s.Source].Advise(a, s.Begin, s.Count*width) })
}

// Close implements [format.Checkpoint].
func (c *Checkpoint) Close() error {
	var errs []error
	for _, s := range c.sources {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// Placed is a tensor of a checkpoint, and where it is: in a row of bytes of one file, or as a layout says.
type Placed struct {
	format.Tensor
	Source int   // which of the files; of a layout, the first
	Begin  int64 // byte of the file
	Layout *gather.Layout
}

// Assemble makes a checkpoint of tensors in sources, which it owns from then on, also where it fails; a file is what stands for each
// source, and for what was read beside them. beside and notes are the checkpoint's.
func Assemble(path string, beside format.Folder, sources []Source, files []format.InputFile, list []Placed, notes []string) (*Checkpoint, error) {
	c := &Checkpoint{path: path, beside: beside, sources: sources, files: files, notes: notes}
	c.take(list)
	return c.finish(nil, nil)
}

// take takes tensors, in the order of their bytes, which is that of the files for each of them.
func (c *Checkpoint) take(list []Placed) {
	slices.SortStableFunc(list, func(a, b Placed) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Begin, b.Begin))
	})
	c.table.Reserve(len(c.tensors)+len(list), c.nameAt)
	c.tensors, c.places = slices.Grow(c.tensors, len(list)), slices.Grow(c.places, len(list))
	for _, p := range list {
		c.tensors, c.places = append(c.tensors, p.Tensor), append(c.places, place{p.Begin, int32(p.Source), p.Layout})
	}
}

// enter makes the table of names, and demands that each is there once.
func (c *Checkpoint) enter() error {
	for i, t := range c.tensors {
		if first, again := c.table.Add(c.nameAt); again {
			one, other := c.sources[c.places[first].source].Path(), c.sources[c.places[i].source].Path()
			detail := "it is also in " + one
			if one == other {
				detail = "it is there twice"
			}
			return &format.Error{Path: other, Tensor: t.Name, Kind: format.KindDuplicate, Detail: detail}
		}
	}
	return nil
}

// noteTied notes the tensors that are the same bytes under several names.
func (c *Checkpoint) noteTied() {
	var pairs some
	for i := 1; i < len(c.places); i++ {
		p, q := c.places[i-1], c.places[i]
		if p.layout == q.layout && p.source == q.source && p.begin == q.begin && c.tensors[i].Bytes() > 0 && c.tensors[i-1].Bytes() == c.tensors[i].Bytes() {
			pairs.add("", c.tensors[i-1].Name+" = "+c.tensors[i].Name)
		}
	}
	if pairs.count > 0 {
		c.notes = append(c.notes, fmt.Sprintf("%s: tensors that are the same bytes, as tied weights are: %v", c.path, pairs))
	}
}
