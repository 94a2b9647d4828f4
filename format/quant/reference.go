package quant

import (
	"weld/internal/vec"
)

// reference is a weight of a checkpoint that an output resembles: of blocks that have its values, the bytes are kept, and what belongs
// to it but is not made of values is copied.
type reference struct {
	view   *Decoded
	weight *shown
	scales int   // the tensor in the checkpoint behind the view
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
	room := r.view.rooms.Get().(*[]float32)
	defer r.view.rooms.Put(room)
	return use(&lentReference{r, codeLender{Checkpoint: r.view.Checkpoint, scratch: *room}})
}

// keep finds the blocks of a band whose values are the reference's, and fills in what there is of them. What it fills in of others is to be
// written over. room is for one row.
func (r *lentReference) keep(b *band, room []float32) error {
	if any, err := r.same(b, room[:b.cols]); err != nil || !any {
		return err
	}
	if err := r.copy(r.weight.index, b.codesAt, b.codes); err != nil {
		return err
	}
	return r.copy(r.scales, b.scalesAt, b.scales)
}

// same finds the blocks whose values are those of the reference, and reports whether there are any. Where a merge changes values, the first
// row says so.
func (r *lentReference) same(b *band, room []float32) (any bool, err error) {
	decoder := r.weight.decoder.(pieced)
	for k := range b.kept {
		b.kept[k] = true
	}
	any = true
	for row := int64(0); row < int64(len(b.values)) && any; row += b.cols {
		if err := decoder.decode(r.from, room, b.begin+row); err != nil {
			return false, err
		}
		any = false
		for k, kept := range b.kept {
			if kept {
				lo, hi := b.columns(int64(k))
				b.kept[k] = sameValues(b.values[row+lo:row+hi], room[lo:hi])
				any = any || b.kept[k]
			}
		}
	}
	return any, nil
}

// copy reads bytes of a tensor of the checkpoint behind the view.
func (r *lentReference) copy(tensor int, off int64, dst []byte) error {
	return r.from.with(tensor, off, int64(len(dst)), func(data []byte) error { copy(dst, data); return nil })
}

// copyBeside passes on what is not made of values, one tensor after the other.
func (r *reference) copyBeside(write func(k int, data []byte) error) error {
	from := codeLender{Checkpoint: r.view.Checkpoint}
	for k, i := range r.beside {
		if err := from.with(i, 0, r.view.Checkpoint.Tensors()[i].Bytes(), func(data []byte) error { return write(k, data) }); err != nil {
			return err
		}
	}
	return nil
}

// sameValues reports whether two rows have the same values: zeros of either sign are one, as sums with nothing make of −0 a 0, and so are all
// that are no number.
func sameValues(a, b []float32) bool {
	if vec.EqualBits(a, b) {
		return true
	}
	for i, x := range a {
		if y := b[i]; x != y && (x == x || y == y) {
			return false
		}
	}
	return true
}
