package quant

import (
	"fmt"
	"slices"

	"weld/format"
	"weld/internal/vec"
)

// band is a row of blocks, or a part of one: their values, which encode changes, and what they become.
type band struct {
	*coding
	*given
	slice, top        int64 // the first row
	begin             int64 // the first element
	codesAt, scalesAt int64 // in their tensors
	values            []float32
	codes, scales     []byte
	zeros             []byte // of the stripe
	zeroRow           int64  // of them, the band's
	kept              []bool // blocks that have their codes and scales
	blocks            blockFigures
	room, sorted      []float32 // for one row each
	old               []float32 // values of the reference; nil where they are to be decoded
	same              []bool    // blocks that have these; nil where that is not known yet
}

// columns are those of a block.
func (b *band) columns(k int64) (lo, hi int64) {
	return k * b.block.cols, min((k+1)*b.block.cols, b.cols)
}

// blockFigures are numbers of the blocks of a band, one for each.
type blockFigures struct{ largest, scales, zeros []float32 }

// grow has room for so many blocks.
func (f *blockFigures) grow(n int) {
	for _, x := range []*[]float32{&f.largest, &f.scales, &f.zeros} {
		*x = slices.Grow((*x)[:0], n)[:n]
	}
}

// encode stores the blocks that are not kept.
func (b *band) encode() error {
	clear(b.kept)
	b.sort(b.values)
	if err := b.keep(); err != nil {
		return err
	}
	if b.fits() && b.coding.zeros == nil && slices.Contains(b.kept, false) {
		b.findLargest()
	}
	for first, n := 0, len(b.kept); first < n; {
		if b.kept[first] {
			first++
			continue
		}
		end := first + 1
		for end < n && !b.kept[end] {
			end++
		}
		if err := b.encodeBlocks(int64(first), int64(end)); err != nil {
			return err
		}
		first = end
	}
	return nil
}

// findLargest finds the largest finite magnitude of every block.
func (b *band) findLargest() {
	clear(b.blocks.largest)
	for row := int64(0); row < int64(len(b.values)); row += b.cols {
		vec.RaiseToLargest(b.blocks.largest, b.values[row:row+b.cols], b.group(0, int64(len(b.kept))))
	}
}

// group is how many values of a row have one scale, for a kernel that goes through blocks of it: of a single block it need be no more
// exact than that none is cut off.
func (b *band) group(first, end int64) int {
	if end-first == 1 {
		return int(oneGroup(b.block.cols))
	}
	return int(b.block.cols)
}

// kernelStep divides the sizes of groups that kernels take.
const kernelStep = 64

// encodeBlocks stores blocks [first, end): their scales, and their codes row by row.
func (b *band) encodeBlocks(first, end int64) error {
	positive, err := b.scale(first, end)
	if err != nil {
		return err
	}
	regular := positive && b.order == nil
	lo, _ := b.columns(first)
	_, hi := b.columns(end - 1)
	for row := int64(0); row < int64(len(b.values)); row += b.cols {
		values := b.values[row+lo : row+hi]
		at, _ := b.stored(b.begin+row, b.begin+row+1)
		codes := b.codes[at-b.codesAt:]
		if regular && b.encodeRow(codes, lo, values, first, end) {
			continue
		}
		for k := first; k < end; k++ {
			if err := b.encodePart(codes, b.begin+row, k, values); err != nil {
				return err
			}
			values = values[min(b.block.cols, int64(len(values))):]
		}
	}
	return nil
}

// scale stores the scales of blocks [first, end), and reports whether all of them are positive.
func (b *band) scale(first, end int64) (positive bool, err error) {
	if b.scaleBlocks(first, end) {
		return true, nil
	}
	positive = true
	for k := first; k < end; k++ {
		f, err := b.factors(k)
		if err != nil {
			return false, err
		}
		b.blocks.scales[k], b.blocks.zeros[k] = f.scale, f.zero
		positive = positive && f.scale > 0
	}
	return positive, nil
}

// encodeRow stores the values of blocks [first, end) in a row of codes, from a column on, if a kernel does that.
func (b *band) encodeRow(codes []byte, col int64, values []float32, first, end int64) bool {
	w, ok := b.coding.codes.(groupWriter)
	if !ok {
		return false
	}
	zeros := b.blocks.zeros[first:end]
	if b.coding.zeros == nil {
		zeros = nil
	}
	return w.encodeGroups(codes, col, values, zeros, b.blocks.scales[first:end], b.group(first, end))
}

// encodePart stores the part of one block, with which values begin, that is in a row. The row's first element is for errors.
func (b *band) encodePart(codes []byte, begin, k int64, values []float32) error {
	lo, hi := b.columns(k)
	quotients := b.room[:hi-lo]
	vec.Div(quotients, values[:hi-lo], b.blocks.scales[k])
	if zero := b.blocks.zeros[k]; zero != 0 {
		for i := range quotients {
			quotients[i] += zero
		}
	}
	if !b.put(codes, lo, quotients) {
		i := slices.IndexFunc(quotients, isNotFinite)
		return noCode(b.element(begin+b.column(lo+int64(i))), quotients[i])
	}
	return nil
}

func isNotFinite(x float32) bool { return x-x != 0 }

// noCode is the error for a value that no code stands for.
func noCode(element int64, x float32) error {
	return &format.Error{Kind: format.KindNonfinite, Detail: fmt.Sprintf("element %d is %v, for which there is no code; FP8 and plain values have one", element, x)}
}

// factors are those of a block, by what was measured, or by its values.
func (b *band) factors(k int64) (factors, error) {
	if !b.fits() {
		return b.measured.factors[b.measured.rangeOf(b.slice, b.top)+k], nil
	}
	x := extremes{0, b.blocks.largest[k]}
	if b.coding.zeros != nil {
		x = b.extremesOfBlock(k)
	}
	var global float32
	if b.measured != nil {
		global = b.measured.global
	}
	size := int64(b.scaleType.Bits() / 8)
	f, err := b.factorsOf(b.scales[k*size:][:size], x, global)
	if err == nil && b.coding.zeros != nil {
		b.coding.zeros.put(b.zeros, b.zeroRow, k, int64(len(b.kept)), f.zero)
	}
	return f, err
}

// extremesOfBlock are those of the values of a block.
func (b *band) extremesOfBlock(k int64) (x extremes) {
	lo, hi := b.columns(k)
	for row := lo; row < int64(len(b.values)); row += b.cols {
		x = x.and(b.extremesOf(b.values[row : row+hi-lo]))
	}
	return x
}
