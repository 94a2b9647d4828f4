package lora

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"

	"weld/format"
	"weld/mmapio"
)

// shownTensor is what is shown of one tensor of the base.
type shownTensor struct {
	target int
	whole  int    // the adapter's tensor that stands for it, or none
	layer  *layer // what is computed, or nil
}

// adapted is a base with an adapter applied. It implements [format.Checkpoint].
type adapted struct {
	base, adapter format.Checkpoint
	tensors       []format.Tensor
	files         []format.InputFile
	metadata      map[string]string
	changed       map[int]shownTensor
	notes         []string
	lent          mmapio.Buffers
	singles       scratchPool[float32]
	doubles       scratchPool[float64]
}

func newAdapted(base, adapter format.Checkpoint, config []byte, changes []shownTensor, notes []string) *adapted {
	c := &adapted{base: base, adapter: adapter, changed: make(map[int]shownTensor, len(changes)), metadata: make(map[string]string), notes: notes}
	c.tensors = slices.Clone(base.Tensors())
	c.singles.open(adapter)
	c.doubles.open(adapter)
	for _, one := range changes {
		c.changed[one.target] = one
		t := &c.tensors[one.target]
		t.Stored = t.StoredDType() // also of an adapter's whole tensors, as PEFT casts them
		switch {
		case one.layer == nil:
			t.DType = adapter.Tensors()[one.whole].DType
		case one.layer.shown == format.F64:
			t.DType = format.F64
			c.doubles.expect(one.layer.needs())
		default:
			t.DType = format.F32
			c.singles.expect(one.layer.needs())
		}
	}
	if config != nil { // without one, the adapter's metadata say of itself what a configuration would
		maps.Copy(c.metadata, format.Metadata(adapter))
	}
	maps.Copy(c.metadata, format.Metadata(base))
	added := slices.Clone(adapter.Files())
	if len(added) > 0 { // the configuration is the adapter's header as well
		added[0].Digest = sha256.Sum256(append(added[0].Digest[:], config...))
	}
	c.files = slices.Concat(base.Files(), added)
	return c
}

// Path implements [format.Checkpoint]: both paths, as mergekit writes them.
func (c *adapted) Path() string { return c.base.Path() + "+" + c.adapter.Path() }

// Beside implements [format.Accompanied]: what stands beside the base belongs to the result.
func (c *adapted) Beside() format.Folder { return format.Beside(c.base) }

// Unwrap implements [format.Wrapper]: what shows the base is asked of its schemes.
func (c *adapted) Unwrap() format.Checkpoint { return c.base }

// Tensors implements [format.Checkpoint].
func (c *adapted) Tensors() []format.Tensor { return c.tensors }

// Find implements [format.Checkpoint].
func (c *adapted) Find(name string) (int, bool) { return c.base.Find(name) }

// Metadata implements [format.Described]: the base's word wins.
func (c *adapted) Metadata() map[string]string { return c.metadata }

// Files implements [format.Checkpoint]: the base's, then the adapter's, of which the first
// has the configuration in its digest.
func (c *adapted) Files() []format.InputFile { return c.files }

// FileOf implements [format.Sharded]: of a sum, where the larger part is.
func (c *adapted) FileOf(i int) int {
	if one, ok := c.changed[i]; ok && one.whole != none {
		return len(c.base.Files()) + format.FileOf(c.adapter, one.whole)
	}
	return format.FileOf(c.base, i)
}

// source is where the tensor lies that is shown as i, or that a product is added to.
func (c *adapted) source(i int) (from format.Checkpoint, j int) {
	if one, ok := c.changed[i]; ok && one.whole != none {
		return c.adapter, one.whole
	}
	return c.base, i
}

// View implements [format.Checkpoint].
func (c *adapted) View(i int, off, n int64) (mmapio.View, error) {
	if l := c.changed[i].layer; l != nil {
		return c.computed(i, l, off, n)
	}
	from, j := c.source(i)
	return from.View(j, off, n)
}

// Read implements [format.Copied]. A sum has no neighbours that cost less.
func (c *adapted) Read(i int, off, n int64) (mmapio.View, error) {
	if l := c.changed[i].layer; l != nil {
		return c.computed(i, l, off, n)
	}
	from, j := c.source(i)
	return format.Read(from, j, off, n)
}

// computed lends a buffer with the elements that bytes [off, off+n) have a part in.
func (c *adapted) computed(i int, l *layer, off, n int64) (mmapio.View, error) {
	t := &c.tensors[i]
	if err := format.CheckView(c, i, off, n); err != nil {
		return mmapio.View{}, err
	}
	view, err := c.lent.Lend(off, n, int64(l.shown.Bits()/8), func(data []byte, first int64) error {
		if l.shown == format.F64 {
			return compute(&c.doubles, l, data, first)
		}
		return compute(&c.singles, l, data, first)
	})
	if err != nil {
		return mmapio.View{}, fmt.Errorf("%s: tensor %q: apply the adapter: %w", c.Path(), t.Name, err)
	}
	return view, nil
}

// ViewCost implements [format.Costly]: what a sum takes, and what the views of both
// checkpoints take meanwhile.
func (c *adapted) ViewCost(n int64) int64 {
	cost := max(format.ViewCost(c.base, n), format.ViewCost(c.adapter, n))
	room := c.singles.cost() + c.doubles.cost()
	if room == 0 {
		return cost
	}
	const ends = 2 * 8 // elements of which a part is shown
	return max(cost, n+ends+room+format.ViewCost(c.base, pieceBytes)+format.ViewCost(c.adapter, pieceBytes))
}

// Advise implements [format.Advised]. The factors, which all ranges need, are wanted
// from the first and done with at the last.
func (c *adapted) Advise(a mmapio.Advice, i int, off, n int64) {
	from, j := c.source(i)
	l := c.changed[i].layer
	if l == nil {
		format.Advise(from, a, j, off, n)
		return
	}
	shown, stored := int64(l.shown.Bits()), int64(l.source.Bits())
	lo, hi := off*8/shown, (off+n)*8/shown
	format.Advise(from, a, j, lo*stored/8, (hi-lo)*stored/8)
	first, last := off == 0, off+n == c.tensors[i].Bytes()
	if a == mmapio.Soon && first || a == mmapio.Done && last {
		for _, d := range l.steps {
			for _, k := range d.reads() {
				format.Advise(c.adapter, a, k, 0, c.adapter.Tensors()[k].Bytes())
			}
		}
	}
}

// InPieces implements [format.Pieced]: of what the adapters leave as it is.
func (c *adapted) InPieces(i int) bool {
	from, j := c.source(i)
	return c.changed[i].layer == nil && format.InPieces(from, j)
}

// Stored implements [format.Verbatim].
func (c *adapted) Stored(i int) (file *mmapio.File, begin int64) {
	if c.changed[i].layer != nil {
		return nil, 0
	}
	from, j := c.source(i)
	return format.Stored(from, j)
}

// Close implements [format.Checkpoint].
func (c *adapted) Close() error {
	return errors.Join(c.base.Close(), c.adapter.Close())
}

// Notes implements [format.Noted]: of the base, of the adapter, and of what they became together.
func (c *adapted) Notes() []string {
	return slices.Concat(format.Notes(c.base), format.Notes(c.adapter), c.notes)
}
