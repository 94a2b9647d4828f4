package quant

import (
	"encoding/binary"
	"math"
	"slices"

	"weld/internal/vec"
)

// reference is a weight of a checkpoint that an output resembles: of blocks that have its values, the bytes are kept, and what belongs
// to it but is not made of values is copied.
type reference struct {
	view   *Decoded
	weight *shown
	parts        // in the checkpoint behind the view
	beside []int // and the others
}

// lentReference is a reference with memory for reading it.
type lentReference struct {
	*reference
	from codeLender
}

// lend has use look at a reference, which may be none.
func (r *reference) lend(use func(r *lentReference) error) error {
	if r == nil {
		return use(nil)
	}
	room := r.view.room()
	defer r.view.giveBack(room)
	return use(&lentReference{r, codeLender{r.view.Checkpoint, room.floats[:], &room.held}})
}

// keep finds the blocks of a band whose values are the reference's, and fills in what there is of them. What it fills in of others is to be
// written over.
func (b *band) keep() error {
	switch {
	case b.reference == nil || b.level != nil && !b.measured.keeps:
		return nil
	case b.same != nil:
		copy(b.kept, b.same)
	case !b.fits():
		copyUnchanged(b.kept, b.measured, b.measured.rangeOf(b.slice, b.top))
	default:
		if err := b.reference.same(b); err != nil {
			return err
		}
	}
	if !slices.Contains(b.kept, true) {
		return nil
	}
	if err := b.reference.copy(b.reference.weight.index, b.codesAt, b.codes); err != nil {
		return err
	}
	return b.reference.copyScales(b.scalesAt, b.scales, 0, nil)
}

// copyUnchanged says which ranges from one on have kept their values.
func copyUnchanged(kept []bool, m *measured, first int64) {
	for k := range kept {
		kept[k] = !m.changed[first+int64(k)]
	}
}

// same finds the blocks whose values are those of the reference. Where a merge changes values, the first row says so.
func (r *lentReference) same(b *band) error {
	for k := range b.kept {
		b.kept[k] = true
	}
	for row := int64(0); row < int64(len(b.values)) && slices.Contains(b.kept, true); row += b.cols {
		old := b.room
		if b.old != nil {
			old = b.old[row : row+b.cols]
		} else if err := r.decode(old, b.begin+row); err != nil {
			return err
		}
		b.sort(old)
		for k, kept := range b.kept {
			if kept {
				lo, hi := b.columns(int64(k))
				b.kept[k] = sameValues(b.values[row+lo:row+hi], old[lo:hi])
			}
		}
	}
	return nil
}

// whole decodes what the reference has in the place of a stripe, where nearly all of it will be looked at: its blocks are of one row.
func (r *lentReference) whole(c *coding, s *stripe, first int64) ([]float32, error) {
	if r == nil || c.block.rows > 1 || !c.fits() || c.level != nil {
		return nil, nil
	}
	s.old = slices.Grow(s.old[:0], len(s.values))[:len(s.values)]
	return s.old, r.decode(s.old, first)
}

// decode restores values of elements from lo on.
func (r *lentReference) decode(dst []float32, lo int64) error {
	return r.weight.decoder.(pieced).decode(r.from, dst, lo)
}

// copyScales reads bytes of the scales, and of the zero points.
func (r *lentReference) copyScales(scalesAt int64, scales []byte, zerosAt int64, zeros []byte) error {
	if len(scales) > 0 {
		if err := r.copy(r.scales, scalesAt, scales); err != nil {
			return err
		}
	}
	if len(zeros) > 0 {
		return r.copy(r.zeros, zerosAt, zeros)
	}
	return nil
}

// globalScale reads the scale of scales.
func (r *lentReference) globalScale() (float32, error) {
	var data [width]byte
	err := r.copy(r.global, 0, data[:])
	return math.Float32frombits(binary.LittleEndian.Uint32(data[:])), err
}

// copy reads bytes of a tensor of the checkpoint behind the view.
func (r *lentReference) copy(tensor int, off int64, dst []byte) error {
	return r.from.with(tensor, off, int64(len(dst)), func(data []byte) error { copy(dst, data); return nil })
}

// sameValues reports whether two rows have the same values: zeros of either sign are one, as sums with nothing make of −0 a 0, and so are all
// that are no number.
func sameValues(a, b []float32) bool {
	if len(a) > 0 && !sameValue(a[0], b[0]) { // as nearly always where something has changed
		return false
	}
	if vec.EqualBits(a, b) {
		return true
	}
	for i, x := range a {
		if !sameValue(x, b[i]) {
			return false
		}
	}
	return true
}

// sameValue reports whether two are the same, as [sameValues] has it.
func sameValue(x, y float32) bool { return x == y || x != x && y != y }
