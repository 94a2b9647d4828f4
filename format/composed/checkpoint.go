package composed

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"weld/format"
	"weld/mmapio"
)

// Child is the checkpoint of a component, and where its weights are.
type Child struct {
	format.Part
	format.Checkpoint
}

// Checkpoint is several components as one. It implements [format.Checkpoint].
type Checkpoint struct {
	dir      format.Folder
	children []Child
	first    []int // tensor of each child
	files    []int // likewise
	tensors  []format.Tensor
	table    format.NameTable
	notes    []string
}

// New shows children, which are in the order of their directories, as one checkpoint of a folder. It owns them from then on, also where it fails.
func New(dir format.Folder, children []Child, notes []string) (*Checkpoint, error) {
	for _, child := range children {
		notes = append(notes, format.Notes(child.Checkpoint)...)
	}
	c, err := compose(dir, children, notes)
	if err != nil {
		for _, child := range children {
			err = errors.Join(err, child.Close())
		}
		return nil, err
	}
	return c, nil
}

// compose makes one checkpoint of children, which stay open where it fails.
func compose(dir format.Folder, children []Child, notes []string) (*Checkpoint, error) {
	c := &Checkpoint{dir: dir, children: children, notes: notes}
	parts, files := c.Parts(), 0
	for k, child := range children {
		c.first, c.files = append(c.first, len(c.tensors)), append(c.files, files)
		files += len(child.Files())
		for _, t := range child.Tensors() {
			t.Name = child.Prefix() + t.Name
			if of := format.PartOf(parts, t.Name); of != k {
				return nil, &format.Error{Path: child.Path(), Tensor: strings.TrimPrefix(t.Name, child.Prefix()), Kind: format.KindNames,
					Detail: fmt.Sprintf("its name begins with the directory of another component, %q, whose it would become", parts[of].Folder)}
			}
			c.tensors = append(c.tensors, t)
			if _, again := c.table.Add(c.nameAt); again {
				return nil, &format.Error{Path: child.Path(), Tensor: t.Name, Kind: format.KindDuplicate, Detail: "it is there twice"}
			}
		}
	}
	return c, nil
}

func (c *Checkpoint) nameAt(i int) string { return c.tensors[i].Name }

// of is the child that has tensor i, and the tensor's number there.
func (c *Checkpoint) of(i int) (child, at int) {
	child = sort.SearchInts(c.first, i+1) - 1 // the last that begins there: those before it are empty
	return child, i - c.first[child]
}

// Path implements [format.Checkpoint].
func (c *Checkpoint) Path() string { return c.dir.Path() }

// Beside implements [format.Accompanied].
func (c *Checkpoint) Beside() format.Folder { return c.dir }

// Parts implements [format.Composed].
func (c *Checkpoint) Parts() []format.Part {
	parts := make([]format.Part, len(c.children))
	for k, child := range c.children {
		parts[k] = child.Part
	}
	return parts
}

// Tensors implements [format.Checkpoint].
func (c *Checkpoint) Tensors() []format.Tensor { return c.tensors }

// Share implements [format.Sharer]: where another checkpoint lists the same tensors, the list is held once.
func (c *Checkpoint) Share(other format.Checkpoint) bool {
	o, ok := other.(*Checkpoint)
	if !ok || !slices.EqualFunc(c.tensors, o.tensors, format.Tensor.Equal) {
		return false
	}
	c.tensors, c.table = o.tensors, o.table
	return true
}

// Find implements [format.Checkpoint].
func (c *Checkpoint) Find(name string) (int, bool) { return c.table.Find(name, c.nameAt) }

// View implements [format.Checkpoint].
func (c *Checkpoint) View(i int, off, n int64) (mmapio.View, error) {
	k, at := c.of(i)
	return c.children[k].View(at, off, n)
}

// Read implements [format.Copied].
func (c *Checkpoint) Read(i int, off, n int64) (mmapio.View, error) {
	k, at := c.of(i)
	return format.Read(c.children[k].Checkpoint, at, off, n)
}

// Files implements [format.Checkpoint].
func (c *Checkpoint) Files() (list []format.InputFile) {
	for _, child := range c.children {
		list = append(list, child.Files()...)
	}
	return list
}

// FileOf implements [format.Sharded].
func (c *Checkpoint) FileOf(i int) int {
	k, at := c.of(i)
	return c.files[k] + format.FileOf(c.children[k].Checkpoint, at)
}

// Stored implements [format.Verbatim].
func (c *Checkpoint) Stored(i int) (file *mmapio.File, begin int64) {
	k, at := c.of(i)
	return format.Stored(c.children[k].Checkpoint, at)
}

// Advise implements [format.Advised].
func (c *Checkpoint) Advise(a mmapio.Advice, i int, off, n int64) {
	k, at := c.of(i)
	format.Advise(c.children[k].Checkpoint, a, at, off, n)
}

// InPieces implements [format.Pieced].
func (c *Checkpoint) InPieces(i int) bool {
	k, at := c.of(i)
	return format.InPieces(c.children[k].Checkpoint, at)
}

// ViewCost implements [format.Costly]: that of the costliest.
func (c *Checkpoint) ViewCost(n int64) int64 {
	cost := n
	for _, child := range c.children {
		cost = max(cost, format.ViewCost(child.Checkpoint, n))
	}
	return cost
}

// Metadata implements [format.Described]: the first component's word wins.
func (c *Checkpoint) Metadata() map[string]string {
	all := make(map[string]string)
	for _, child := range c.children {
		for key, value := range format.Metadata(child.Checkpoint) {
			if _, taken := all[key]; !taken {
				all[key] = value
			}
		}
	}
	return all
}

// Notes implements [format.Noted].
func (c *Checkpoint) Notes() []string { return c.notes }

// Note adds what whoever opened the checkpoint has to say of it.
func (c *Checkpoint) Note(text string) { c.notes = append(c.notes, text) }

// Close implements [format.Checkpoint].
func (c *Checkpoint) Close() error {
	var errs []error
	for _, child := range c.children {
		errs = append(errs, child.Close())
	}
	return errors.Join(errs...)
}

// At is the component that has tensor i, and the tensor's number there.
func (c *Checkpoint) At(i int) (child Child, at int) {
	k, at := c.of(i)
	return c.children[k], at
}

// Children are the components. The slice is shared.
func (c *Checkpoint) Children() []Child { return c.children }

// Each shows every component as show does, which returns what it is given where there is nothing to show otherwise; where it fails, what was shown stays open
// in c. Closing what it returns closes c. It is c itself where every component is.
func (c *Checkpoint) Each(show func(child format.Checkpoint) (format.Checkpoint, error)) (*Checkpoint, error) {
	children, changed := slices.Clone(c.children), false
	for k := range children {
		shown, err := show(children[k].Checkpoint)
		if err != nil {
			return nil, err
		}
		changed = changed || shown != children[k].Checkpoint
		children[k].Checkpoint = shown
	}
	if !changed {
		return c, nil
	}
	return compose(c.dir, children, c.notes)
}
