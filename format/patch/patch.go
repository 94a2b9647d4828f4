package patch

import (
	"errors"
	"fmt"
	"strings"

	"weld/format"
	"weld/format/packed"
	"weld/mmapio"
)

// Patch is a patch that is open for reading.
type Patch struct {
	*packed.Archive
	Tables
	base format.Checkpoint
}

// Open opens a patch. Before the result can be read, [Patch.On] must say what it is put on.
func Open(path string, how ...mmapio.Reading) (*Patch, error) {
	a, err := packed.OpenPatch(path, how...)
	if err != nil {
		return nil, err
	}
	p := &Patch{Archive: a}
	if err := p.read(); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	a.SetBase(p.lendBase)
	return p, nil
}

func (p *Patch) read() error {
	payloads := make(map[[4]byte][]byte)
	for _, tag := range [][4]byte{tagBase, tagResult} {
		var err error
		if payloads[tag], err = p.Table(tag); err != nil {
			return err
		}
	}
	t, err := ParseTables(p.Path(), payloads, p.Content())
	if err != nil {
		return err
	}
	p.Tables = *t
	return nil
}

// Base lists what the patch knows of the base: all its tensors, and the files that it is coded against. The
// slice is shared.
func (p *Patch) Base() []Item { return p.items }

// Result lists the tensors of the result and its other files, in the order of the content.
func (p *Patch) Result() []Item {
	items := make([]Item, len(p.places))
	for i, q := range p.places {
		items[i] = q.Item
	}
	return items
}

// On puts the patch on a base, which must have the tensors that the patch was made against: their
// names, types and shapes are compared. Their bytes are for the caller to compare, by [Patch.Base].
func (p *Patch) On(base format.Checkpoint) error {
	p.base = base
	other := func(tensor, detail string, args ...any) error {
		return &format.Error{Path: base.Path(), Tensor: tensor, Kind: format.KindBase, Detail: fmt.Sprintf(detail, args...) + ": " + p.Path() + " was made against another base"}
	}
	tensors := 0
	for _, it := range p.items {
		if it.File {
			if info, err := format.Beside(base).Stat(it.Name); err != nil || info.Size() != it.Bytes() {
				return other("", "no file %s of %d bytes beside it", it.Name, it.Bytes())
			}
			continue
		}
		tensors++
		i, ok := base.Find(it.Name)
		if !ok {
			return other(it.Name, "it is not there")
		}
		if t := base.Tensors()[i]; t.DType != it.DType || !equal(t.Shape, it.Shape) {
			return other(it.Name, "it is %v %v, not %v %v", t.DType, t.Shape, it.DType, it.Shape)
		}
	}
	if tensors != len(base.Tensors()) {
		return other("", "%d tensors instead of %d", len(base.Tensors()), tensors)
	}
	return nil
}

// lendBase lends what blocks of the patch are coded by.
func (p *Patch) lendBase(offset, n int64) (mmapio.View, error) {
	q, err := p.relativeItem(offset, n)
	if err != nil {
		return mmapio.View{}, err
	}
	if p.base == nil {
		return mmapio.View{}, fmt.Errorf("%s: a patch without its base", p.Path())
	}
	return p.View(q.base, offset-q.begin, n)
}

// View lends bytes of an item of the base.
func (p *Patch) View(i int, off, n int64) (mmapio.View, error) {
	return viewOf(p.base, p.items[i], off, n)
}

// viewOf lends bytes of a tensor of a checkpoint, or of a file beside it.
func viewOf(c format.Checkpoint, it Item, off, n int64) (mmapio.View, error) {
	if it.File {
		data, err := format.Beside(c).Range(it.Name, off, n)
		return mmapio.View{Data: data}, err
	}
	t, ok := c.Find(it.Name)
	if !ok {
		return mmapio.View{}, fmt.Errorf("%s: tensor %q is gone", c.Path(), it.Name)
	}
	return c.View(t, off, n)
}

// IsName reports whether a file name is that of a patch.
func IsName(name string) bool { return strings.HasSuffix(strings.ToLower(name), ".weldpatch") }

// ContentRange is a piece of the content: an item of the result, or what stands between two: a header.
type ContentRange struct {
	File         int   // in [packed.Archive.Files]
	Begin, Bytes int64 // in the content
	Item         *Item // nil for a header
}

// Segments cuts the content into items and what stands between them.
func (p *Patch) Ranges() (parts []ContentRange) {
	k := 0
	for i, f := range p.Files() {
		at, end := f.Begin, f.Begin+f.Size
		for ; k < len(p.places) && p.places[k].end() <= end; k++ {
			q := &p.places[k]
			if q.begin > at {
				parts = append(parts, ContentRange{File: i, Begin: at, Bytes: q.begin - at})
			}
			parts = append(parts, ContentRange{File: i, Begin: q.begin, Bytes: q.Bytes(), Item: &q.Item})
			at = q.end()
		}
		if at < end {
			parts = append(parts, ContentRange{File: i, Begin: at, Bytes: end - at})
		}
	}
	return parts
}
