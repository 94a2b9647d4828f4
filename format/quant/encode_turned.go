package quant

import (
	"fmt"
	"math"
	"slices"

	"weld/format"
	"weld/internal/vec"
)

// Codes may lie the other way round than values: a row of codes has the values of a column. Values come in rows, of which a stripe has as many as make
// whole blocks of every column. It is encoded, and each column's codes go where they belong in the codes of its matrix, which are collected and
// written as a whole: they take an eighth of what the values do.
type turnedCoding struct {
	stride, groups int64 // bytes of codes, and of scales, that a column has
}

// turnedElements is about how many values a stripe has: each goes through the codes of all columns of the reference.
const turnedElements = 6 * pieceElements

// coding implements [codable]: of MXFP4 as gpt-oss has it.
func (d *turned) coding() (c coding, of parts, ok bool) {
	l, ok := d.lines.(*mxfp4Lines)
	if !ok {
		return c, of, false
	}
	c = coding{
		blockGrid: d.blockGrid, block: blockGrid{1, mxfp4Group, 1}, scaleType: format.F8E8M0,
		turned: &turnedCoding{stride: d.stride, groups: l.groups},
	}
	return c, parts{scales: l.scales, zeros: -1, global: -1, groups: -1}, d.cols*d.stride <= mostStripe
}

// turnedMatrix is what has come of the codes and scales of one matrix.
type turnedMatrix struct {
	codes, scales []byte
	left          int64 // values that have not
}

// matrix finds or begins the codes of a matrix.
func (t *encodedTensor) matrix(slice int64) *turnedMatrix {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.matrices[slice]
	if m == nil {
		m = &turnedMatrix{make([]byte, t.cols*t.turned.stride), make([]byte, t.cols*t.turned.groups), t.rows * t.cols}
		if t.matrices == nil {
			t.matrices = make(map[int64]*turnedMatrix)
		}
		t.matrices[slice] = m
	}
	return m
}

// writeTurned encodes a stripe, and writes the matrix that it completes.
func (t *encodedTensor) writeTurned(w format.Writer, s *stripe, slice, top int64) error {
	m := t.matrix(slice)
	if err := t.reference.lend(func(r *lentReference) error { return t.encodeTurned(s, m, slice, top, r) }); err != nil {
		return fmt.Errorf("encode %q: %w", t.Encoding.Codes.Name, err)
	}
	t.mu.Lock()
	m.left -= int64(len(s.values))
	complete := m.left == 0
	if complete {
		delete(t.matrices, slice)
	}
	t.mu.Unlock()
	if !complete {
		return nil
	}
	if err := w.WriteAt(t.Companions[0], slice*int64(len(m.scales)), m.scales); err != nil {
		return err
	}
	return w.WriteAt(t.Codes, slice*int64(len(m.codes)), m.codes) // last, as of stripes
}

// encodeTurned encodes rows of a matrix from one on into their place in it.
func (c *coding) encodeTurned(s *stripe, m *turnedMatrix, slice, top int64, reference *lentReference) error {
	s.kept = slices.Grow(s.kept[:0], len(s.values)/mxfp4Group)[:len(s.values)/mxfp4Group]
	clear(s.kept)
	if reference != nil {
		if err := c.sameTurned(s, slice, top, reference); err != nil {
			return err
		}
	}
	if !c.encodeColumns(s, m, top) {
		if err := c.encodeRows(s, m, slice, top); err != nil {
			return err
		}
	}
	if !slices.Contains(s.kept, true) {
		return nil
	}
	return c.keepTurned(s, m, slice, top, reference)
}

// encodeColumns is encodeRows by a kernel; it is false, whatever was stored, where a value may have no code.
func (c *coding) encodeColumns(s *stripe, m *turnedMatrix, top int64) bool {
	s.scales = slices.Grow(s.scales[:0], int(c.cols))[:c.cols]
	for k := range int64(len(s.values)) / c.cols / mxfp4Group {
		group := top/mxfp4Group + k
		if !vec.EncodeE2M1Columns(m.codes[group*mxfp4Group/2:], int(c.turned.stride), s.scales, s.values[k*mxfp4Group*c.cols:], int(c.cols)) {
			return false
		}
		for col, scale := range s.scales {
			m.scales[int64(col)*c.turned.groups+group] = scale
		}
	}
	return true
}

// encodeRows encodes rows of a matrix from one on into their place in it, by their transpose.
func (c *coding) encodeRows(s *stripe, m *turnedMatrix, slice, top int64) error {
	rows := int64(len(s.values)) / c.cols
	flat := coding{
		blockGrid: blockGrid{1, c.cols, rows}, block: blockGrid{1, 1, mxfp4Group}, scaleType: c.scaleType,
		codes: &tableWriter{&tableE2M1, packedRows{bitPacking{bits: 4, values: valuesE2M1}, rows, rows / 2}},
	}
	if i := c.withoutCode(s); i >= 0 {
		return noCode((slice*c.rows+top)*c.cols+int64(i), s.values[i])
	}
	of := c.turn(s)
	if err := flat.encode(of, 0, 0, given{}); err != nil {
		return err
	}
	for col := range c.cols {
		copy(m.codes[col*c.turned.stride+top/2:], of.codes[col*rows/2:][:rows/2])
		copy(m.scales[col*c.turned.groups+top/mxfp4Group:], of.scales[col*rows/mxfp4Group:][:rows/mxfp4Group])
	}
	return nil
}

// withoutCode finds a value that is not finite, in a block that is not kept; −1 for none.
func (c *coding) withoutCode(s *stripe) int {
	groups := int64(len(s.values)) / c.cols / mxfp4Group
	for i := 0; ; i++ {
		next := vec.FirstNonFinite(s.values[i:], math.MaxFloat32)
		if next < 0 {
			return -1
		}
		if i += next; !s.kept[int64(i)%c.cols*groups+int64(i)/c.cols/mxfp4Group] {
			return i
		}
	}
}

// turn has the values of a stripe column by column, but for blocks that are kept: of these, zeros.
func (c *coding) turn(s *stripe) *stripe {
	rows := int64(len(s.values)) / c.cols
	s.turned = slices.Grow(s.turned[:0], len(s.values))[:len(s.values)]
	const strip = 64 // columns whose rows stay in the cache
	for left := int64(0); left < c.cols; left += strip {
		vec.Transpose(s.turned[left*rows:], int(rows), s.values[left:], int(c.cols), int(rows), int(min(strip, c.cols-left)))
	}
	for k, kept := range s.kept {
		if kept {
			clear(s.turned[k*mxfp4Group:][:mxfp4Group])
		}
	}
	return &stripe{values: s.turned, row: make([]float32, rows)}
}

// sameTurned finds the blocks of a stripe whose values are those of the reference: by their first ones, nearly always, they are not.
func (c *coding) sameTurned(s *stripe, slice, top int64, reference *lentReference) error {
	groups := int64(len(s.values)) / c.cols / mxfp4Group
	scales := make([]byte, c.cols*groups)
	first := top / mxfp4Group
	err := reference.from.strided(reference.scales, slice*c.cols*c.turned.groups+first, c.turned.groups, groups, c.cols, func(col int64, data []byte) error {
		copy(scales[col*groups:], data)
		return nil
	})
	if err != nil {
		return err
	}
	const size = mxfp4Group / 2
	return reference.from.strided(reference.weight.index, slice*c.cols*c.turned.stride+first*size, c.turned.stride, groups*size, c.cols, func(col int64, data []byte) error {
		for k := range groups {
			s.kept[col*groups+k] = c.sameColumn(s.values[k*mxfp4Group*c.cols+col:], data[k*size:][:size], scales[col*groups+k:])
		}
		return nil
	})
}

// sameColumn reports whether the values of a block, whose column of a stripe begins with values, are those of its codes and its scale.
func (c *coding) sameColumn(values []float32, codes, scale []byte) bool {
	if !sameValue(values[0], mxfp4Values[codes[0]&15]*powersOfTwo[scale[0]]) {
		return false
	}
	var old [mxfp4Group]float32
	mxfp4Line(old[:], codes, scale, 0)
	for row, x := range old {
		if !sameValue(values[int64(row)*c.cols], x) {
			return false
		}
	}
	return true
}

// keepTurned copies the codes and scales of blocks that are kept.
func (c *coding) keepTurned(s *stripe, m *turnedMatrix, slice, top int64, reference *lentReference) error {
	groups := int64(len(s.values)) / c.cols / mxfp4Group
	for _, part := range []struct {
		tensor       int
		stride, size int64 // bytes of a column, and of a block
		to           []byte
	}{{reference.weight.index, c.turned.stride, mxfp4Group / 2, m.codes}, {reference.scales, c.turned.groups, 1, m.scales}} {
		begin := top / mxfp4Group * part.size
		err := reference.from.strided(part.tensor, slice*c.cols*part.stride+begin, part.stride, groups*part.size, c.cols, func(col int64, data []byte) error {
			for k := range groups {
				if s.kept[col*groups+k] {
					copy(part.to[col*part.stride+begin+k*part.size:], data[k*part.size:][:part.size])
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
