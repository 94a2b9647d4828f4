package lora

import (
	"weld/format"
	"weld/internal/vec"
	"weld/mmapio"
)

// grid is how a tensor is seen: slices of a matrix each. A linear layer is one slice, a
// vector one row, a convolution [out, in, …] the matrix [out, in·…], a stack of experts a slice each.
type grid struct{ slices, rows, cols int64 }

func (g grid) elements() int64 { return g.slices * g.rows * g.cols }

// tile is a rectangle of one slice: rows [top, bottom), columns [left, right).
type tile struct{ slice, top, bottom, left, right int64 }

func (t tile) rows() int64     { return t.bottom - t.top }
func (t tile) cols() int64     { return t.right - t.left }
func (t tile) elements() int64 { return t.rows() * t.cols() }

// Figures of a computation.
const (
	tileElements = 128 << 10 // most elements of a tile
	pieceBytes   = 256 << 10 // most bytes of one view of a tensor
	copiedBytes  = 16 << 10  // most bytes of a view that is a copy
	rowPart      = 2048      // columns that are summed at a time, so that they sit in L1
)

// tiles cuts elements [lo, hi) into rectangles of at most tileElements: the end of a row, whole rows,
// the beginning of a row, for each slice that they have a part in.
func (g grid) tiles(lo, hi int64, visit func(tile) error) error {
	size := g.rows * g.cols
	for lo < hi {
		slice := lo / size
		end := min(hi, (slice+1)*size)
		for _, t := range g.rectangles(slice, lo-slice*size, end-slice*size) {
			if err := t.cut(visit); err != nil {
				return err
			}
		}
		lo = end
	}
	return nil
}

// rectangles are those of elements [lo, hi) of one slice.
func (g grid) rectangles(slice, lo, hi int64) (list []tile) {
	top, left := lo/g.cols, lo%g.cols
	last, right := (hi-1)/g.cols, (hi-1)%g.cols+1
	if top == last {
		return []tile{{slice, top, top + 1, left, right}}
	}
	if left > 0 {
		list = append(list, tile{slice, top, top + 1, left, g.cols})
		top++
	}
	whole := last
	if right == g.cols {
		whole++
	}
	if top < whole {
		list = append(list, tile{slice, top, whole, 0, g.cols})
	}
	if whole == last {
		list = append(list, tile{slice, last, last + 1, 0, right})
	}
	return list
}

// cut visits a rectangle in parts, in the order of their elements.
func (t tile) cut(visit func(tile) error) error {
	width := min(t.cols(), tileElements)
	height := max(1, tileElements/width)
	for top := t.top; top < t.bottom; top += height {
		for left := t.left; left < t.right; left += width {
			part := tile{t.slice, top, min(top+height, t.bottom), left, min(left+width, t.right)}
			if err := visit(part); err != nil {
				return err
			}
		}
	}
	return nil
}

// readTile decodes the elements of a tile of a tensor, whatever its type.
func readTile[T vec.Float](from format.Checkpoint, tensor int, d format.DType, g grid, t tile, dst []T) error {
	first := t.slice*g.rows*g.cols + t.top*g.cols + t.left
	if t.cols() == g.cols || t.rows() == 1 {
		return read(from, tensor, d, dst, first)
	}
	for i := range t.rows() {
		if err := read(from, tensor, d, dst[i*t.cols():][:t.cols()], first+i*g.cols); err != nil {
			return err
		}
	}
	return nil
}

// read decodes len(dst) elements of a tensor from element lo on.
func read[T vec.Float](from format.Checkpoint, tensor int, d format.DType, dst []T, lo int64) error {
	return pieces(from, tensor, d, lo, int64(len(dst)), func(stored []byte, n int) {
		format.Decode(d, dst[:n], stored)
		dst = dst[n:]
	})
}

// borrow lends bytes of a tensor, by a copy where they are few.
func borrow(from format.Checkpoint, tensor int, off, n int64) (mmapio.View, error) {
	if n <= copiedBytes {
		return format.Read(from, tensor, off, n)
	}
	return from.View(tensor, off, n)
}

// pieces has n elements from element lo on visited, a few at a time, in order.
func pieces(from format.Checkpoint, tensor int, d format.DType, lo, n int64, visit func(stored []byte, n int)) error {
	size := int64(d.Bits() / 8)
	for end := lo + n; lo < end; {
		n := min(end-lo, pieceBytes/size)
		view, err := borrow(from, tensor, lo*size, n*size)
		if err != nil {
			return err
		}
		err = mmapio.Guard([]mmapio.View{view}, func() error {
			visit(view.Data, int(n))
			return nil
		})
		view.Release()
		if err != nil {
			return err
		}
		lo += n
	}
	return nil
}
