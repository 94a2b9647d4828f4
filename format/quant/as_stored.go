package quant

import "weld/format"

// MXFP4 of gpt-oss is shown as the transpose of what is stored: [turned]. Turning costs several times what restoring does, on both ways. Whoever makes each value of
// an output of the inputs' values in its place alone may do without, and go through all of them in the order in which their codes lie.

// AsStored is tensor i, which is turned, in the order of its codes: a tensor of another view, whose last two sizes have changed places. ok is false where values are shown in that
// order, or weld has no other for them. Closing that view is left to this one.
func (v *Decoded) AsStored(i int) (view *Decoded, index int, ok bool) {
	if d, turned := v.from[i].decoder.(*turned); !turned || d.rowwise() == nil {
		return nil, 0, false
	}
	index, ok = v.stored.Find(v.tensors[i].Name)
	return v.stored, index, ok
}

// ShownElement is the number, in a shape that values are shown in, of an element that is counted in the order of the codes.
func ShownElement(shape []int64, element int64) int64 {
	g := gridOf(shape)
	matrix, at := element/(g.rows*g.cols), element%(g.rows*g.cols)
	return (matrix*g.rows+at%g.rows)*g.cols + at/g.rows
}

// addStored lists a weight in the view that has it in the order of its codes, if it is turned.
func (v *Decoded) addStored(w *weight) {
	d, ok := w.decoder.(*turned)
	if !ok {
		return
	}
	rows := d.rowwise()
	if rows == nil {
		return
	}
	if v.stored == nil {
		v.stored = &Decoded{Checkpoint: v.Checkpoint}
	}
	v.stored.add(format.Tensor{Name: w.name, DType: format.F32, Stored: w.plain, Shape: []int64{rows.slices, rows.rows, rows.cols}}, shown{w.codes, rowwise{rows}, w.hides, w.scheme})
}

// rowwise restores values in the order of their codes where they are shown in another.
type rowwise struct{ *affine }

// coding implements [codable].
func (d rowwise) coding() (c coding, of parts, ok bool) {
	c, of, ok = d.affine.coding()
	c.asStored = true
	return c, of, ok
}

// rowwise is what restores the values in the order of their codes; nil where nothing does.
func (d *turned) rowwise() *affine {
	l, ok := d.lines.(*mxfp4Lines)
	if !ok {
		return nil
	}
	return mxfp4Rows(d.codes, l.scales, []int64{d.slices, d.cols, l.groups})
}

// element is the number by which people know an element that a coding counts.
func (c *coding) element(i int64) int64 {
	if !c.asStored {
		return i
	}
	return ShownElement([]int64{c.slices, c.cols, c.rows}, i)
}
