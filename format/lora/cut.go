package lora

import (
	"fmt"

	"weld/format"
	"weld/internal/vec"
)

// A module of an adapter need not be one of the base's: what one program has as one tensor (queries, keys, values, and
// in some models the first layer of an MLP) another has as three or four, and halves of a modulation may lie the other way
// round. All of these move whole rows, so that the product of an adapter is computed as it is, and its rows are added where they belong.

// place is where a module lies in a base.
type place struct {
	module string // the base's own, or what it would be called there
	cut    *cut   // where its rows are not those of one tensor, in their order; nil is the usual
}

// cut says where the rows of a module lie in a base.
type cut struct {
	tensors []string // of the base, whose rows it has, one tensor's after the other's
	piece   int      // which of the pieces of the one tensor it is, from 1 on; 0 is all of it
	of      int      // how many pieces there are: 3 are queries, keys, values, a fourth is an MLP's
	swapped bool     // the second half of its rows comes first in the base
}

// strip is a run of a module's rows in a tensor of the base.
type strip struct {
	target   int
	size     grid  // of the whole tensor
	to, from int64 // first row of the tensor, and of the module
	rows     int64
}

// strips finds the rows of a module; size is the module as one matrix.
func (m *matching) strips(s *moduleSite) (list []strip, size grid, ok bool) {
	size.slices = 1
	for _, name := range s.cut.tensors {
		target, ok := m.base.Find(name)
		if !ok {
			m.fault(s.first, format.KindKey, "%s has no tensor %q", m.base.Path(), clip(name))
			return nil, grid{}, false
		}
		shape := m.base.Tensors()[target].Shape
		if len(shape) != 2 || size.rows > 0 && shape[1] != size.cols || s.cut.swapped && shape[0]%2 != 0 {
			m.fault(s.first, format.KindShape, "the base's %q has %v, which is none of the matrices that %q stands for", clip(name), shape, clip(s.module))
			return nil, grid{}, false
		}
		list = append(list, strip{target, grid{1, shape[0], shape[1]}, 0, size.rows, shape[0]})
		size.rows, size.cols = size.rows+shape[0], shape[1]
	}
	switch {
	case s.cut.piece > 0:
		return m.piece(s, list[0])
	case s.cut.swapped:
		half := size.rows / 2
		first, second := list[0], list[0]
		first.rows, second.rows = half, half
		first.to, second.from = half, half
		return []strip{first, second}, size, true
	}
	return list, size, true
}

// piece is the part that a module is of a tensor: queries, keys and values have as many rows as the tensor has columns, and an MLP
// what is left.
func (m *matching) piece(s *moduleSite, whole strip) (list []strip, size grid, ok bool) {
	width, rows := whole.size.cols, whole.size.rows
	rest := rows - 3*min(width, rows/3)
	if width > rows/3 || s.cut.of == 3 && rest != 0 || s.cut.of > 3 && rest == 0 {
		of := "queries, keys and values"
		if s.cut.of > 3 {
			of = "queries, keys, values and of an MLP"
		}
		m.fault(s.first, format.KindShape, "the base's %q has %v, which is no tensor of %s", clip(s.cut.tensors[0]), []int64{rows, width}, of)
		return nil, grid{}, false
	}
	whole.to, whole.rows = int64(s.cut.piece-1)*width, width
	if s.cut.piece > 3 {
		whole.rows = rest
	}
	return []strip{whole}, grid{1, whole.rows, width}, true
}

// weightOfCut sees the rows of a module as one matrix; target is the first of the tensors that they lie in.
func (m *matching) weightOfCut(s *moduleSite) (target int, size grid, ok bool) {
	list, size, ok := m.strips(s)
	if !ok {
		return 0, grid{}, false
	}
	return list[0].target, size, true
}

// changeCut adds s·M to the rows of a module.
func (m *matching) changeCut(s *moduleSite, all *addition) {
	if has(s.slots, "dora_scale") || has(s.slots, "lora_magnitude_vector") || has(s.slots, biasSlot) {
		m.fault(s.first, format.KindUnsupported, "DoRA or a bias of the adapter's own, for %s", s.cut.said())
		return
	}
	list, size, ok := m.strips(s)
	if !ok {
		return
	}
	for _, t := range list {
		var d delta = all
		if t.rows != size.rows {
			d = &addition{matrix: &rowsOf{all.matrix, t.from, t.rows}, scale: all.scale}
		}
		if t.rows != t.size.rows {
			d = &band{inner: d, top: t.to, rows: t.rows}
		}
		m.change(t.target, s.first, t.size, d)
	}
}

// said names what a cut is of a base, for errors.
func (c *cut) said() string {
	switch {
	case c.piece > 0 && c.of == 3:
		return fmt.Sprintf("a third of the base's %q", clip(c.tensors[0]))
	case c.piece > 0:
		return fmt.Sprintf("a part of the base's %q", clip(c.tensors[0]))
	case c.swapped:
		return fmt.Sprintf("the base's %q, whose halves lie the other way round", clip(c.tensors[0]))
	}
	return fmt.Sprintf("what the base has as %d tensors, of which %q is the first", len(c.tensors), clip(c.tensors[0]))
}

// rowsOf is rows [top, top+rows) of a matrix of one slice.
type rowsOf struct {
	matrix
	top, rows int64
}

func (r *rowsOf) grid() grid { return grid{1, r.rows, r.matrix.grid().cols} }

func (r *rowsOf) inside(t tile) tile {
	return tile{t.slice, t.top + r.top, t.bottom + r.top, t.left, t.right}
}

func (r *rowsOf) singles(in *scratch[float32], t tile, dst []float32) error {
	return r.matrix.singles(in, r.inside(t), dst)
}

func (r *rowsOf) doubles(in *scratch[float64], t tile, dst []float64) error {
	return r.matrix.doubles(in, r.inside(t), dst)
}

// band is a step that changes rows [top, top+rows) of a tensor alone, as another would a tensor of just these.
type band struct {
	inner     delta
	top, rows int64
}

func (b *band) needs() needs { return b.inner.needs() }
func (b *band) reads() []int { return b.inner.reads() }

func (b *band) singles(in *scratch[float32], of *layer, t tile, w []float32) error {
	return changeBand(in, b, of, t, w)
}

func (b *band) doubles(in *scratch[float64], of *layer, t tile, w []float64) error {
	return changeBand(in, b, of, t, w)
}

func changeBand[T vec.Float](in *scratch[T], b *band, of *layer, t tile, w []T) error {
	top, bottom := max(t.top, b.top), min(t.bottom, b.top+b.rows)
	if top >= bottom {
		return nil
	}
	part := tile{t.slice, top - b.top, bottom - b.top, t.left, t.right}
	return step(in, b.inner, of, part, w[(top-t.top)*t.cols():(bottom-t.top)*t.cols()])
}

// apart reports whether a step and those of a tensor before it change different rows.
func (e *edit) apart(d delta) bool {
	b, ok := d.(*band)
	for _, one := range e.steps {
		c, band := one.(*band)
		if !ok || !band || b.top < c.top+c.rows && c.top < b.top+b.rows {
			return false
		}
	}
	return true
}
