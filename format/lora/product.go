package lora

import "weld/internal/vec"

// panelElements is the most of a right factor that is held whole.
const panelElements = 1 << 20

// product is L·R of every slice: element (i, j) is Σₖ L[i, k]·R[k, j], summed over the rank in index order
// from +0, every product and every sum rounded by itself.
type product struct {
	size        grid
	rank        int64
	left, right factor // the positions of L are the rows, of R the columns
	core        *core  // that R is multiplied out of, or nil
}

func (p *product) grid() grid { return p.size }

func (p *product) reads() []int {
	list := append(p.left.reads(), p.right.reads()...)
	if p.core != nil {
		list = append(list, p.core.tensor.tensor)
	}
	return list
}

// rowsAtOnce and colsAtOnce are how much of the factors is held at a time.
func (p *product) rowsAtOnce() int64 { return max(1, leftElements/p.rank) }
func (p *product) colsAtOnce() int64 { return max(blockCols, blockElements/p.rank) }

// panel reports whether the right factor of a slice is held whole.
func (p *product) panel() bool { return p.rank*p.size.cols <= panelElements }

func (p *product) needs() needs {
	n := needs{elements: p.rowsAtOnce() * p.rank, stage: max(p.left.staged(), p.right.staged())}
	cols := min(p.colsAtOnce(), p.size.cols)
	if p.panel() {
		n.panels, n.panel = 1, p.rank*p.size.cols
		cols = p.size.cols
	} else {
		n.elements += cols * p.rank
	}
	n.elements += max(p.rank, p.rowsAtOnce(), cols) // a vector that scales a factor
	if p.core != nil {
		n.elements += p.core.elements(p.rank, cols)
	}
	return n
}

func (p *product) singles(in *scratch[float32], t tile, dst []float32) error {
	return fillProduct(in, p, t, dst)
}

func (p *product) doubles(in *scratch[float64], t tile, dst []float64) error {
	return fillProduct(in, p, t, dst)
}

// fillProduct computes a tile in parts for which L and R fit the room.
func fillProduct[T vec.Float](in *scratch[T], p *product, t tile, dst []T) error {
	defer in.giveBack(in.used)
	var whole []T
	if p.panel() {
		key := panelKey{p, t.slice}
		var err error
		whole, err = in.borrow(key, p.rank*p.size.cols, func(dst []T) error { return loadRight(in, p, t.slice, dst, 0, p.size.cols) })
		if err != nil {
			return err
		}
		defer in.returnPanel(key)
	}
	rows, cols := min(p.rowsAtOnce(), t.rows()), min(p.colsAtOnce(), t.cols())
	left := in.take(rows * p.rank)
	var block []T
	if whole == nil {
		block = in.take(cols * p.rank)
	}
	for top := t.top; top < t.bottom; top += rows {
		bottom := min(top+rows, t.bottom)
		if err := load(in, p.left, p.rank, t.slice, left[:(bottom-top)*p.rank], top, bottom, false); err != nil {
			return err
		}
		at := dst[(top-t.top)*t.cols():]
		if whole != nil {
			sums(at, t.cols(), left, bottom-top, p.rank, whole[t.left:], p.size.cols, t.cols())
			continue
		}
		for l := t.left; l < t.right; l += cols {
			r := min(l+cols, t.right)
			if err := loadRight(in, p, t.slice, block[:(r-l)*p.rank], l, r); err != nil {
				return err
			}
			sums(at[l-t.left:], t.cols(), left, bottom-top, p.rank, block, r-l, r-l)
		}
	}
	return nil
}

// loadRight loads columns [lo, hi) of R, a row for each index of the rank.
func loadRight[T vec.Float](in *scratch[T], p *product, slice int64, dst []T, lo, hi int64) error {
	if p.core != nil {
		return multiplyOut(in, p.core, p.right, p.rank, dst, lo, hi)
	}
	return load(in, p.right, p.rank, slice, dst, lo, hi, true)
}

// sums fills rows of n elements, width apart in dst, with the products of rows of L and of columns of R,
// whose rows are stride apart.
func sums[T vec.Float](dst []T, width int64, left []T, rows, rank int64, right []T, stride, n int64) {
	for l := int64(0); l < n; l += rowPart {
		m := min(rowPart, n-l)
		for i := range rows {
			sum := dst[i*width+l:][:m]
			vec.Fill(sum, 0)
			for k, w := range left[i*rank:][:rank] {
				vec.Axpy(sum, w, right[int64(k)*stride+l:][:m])
			}
		}
	}
}
