package lora

import "weld/internal/vec"

// kronecker is A ⊗ B: element (i·b + p, j·d + q) is A[i, j]·B[p, q], with B [b, d].
type kronecker struct{ a, b matrix }

func (k *kronecker) grid() grid {
	a, b := k.a.grid(), k.b.grid()
	return grid{1, a.rows * b.rows, a.cols * b.cols}
}

// held reports whether a matrix is held whole while it is multiplied with.
func held(m matrix) bool { return m.grid().elements() <= panelElements }

func (k *kronecker) needs() needs {
	n := needs{elements: max(k.a.grid().cols, 1)}
	for _, m := range []matrix{k.a, k.b} {
		n = n.within(m.needs())
		if held(m) {
			n = n.within(needs{panels: 1, panel: m.grid().elements()})
		}
	}
	return n
}

func (k *kronecker) reads() []int { return append(k.a.reads(), k.b.reads()...) }

func (k *kronecker) singles(in *scratch[float32], t tile, dst []float32) error {
	return fillKronecker(in, k, t, dst)
}

func (k *kronecker) doubles(in *scratch[float64], t tile, dst []float64) error {
	return fillKronecker(in, k, t, dst)
}

func fillKronecker[T vec.Float](in *scratch[T], k *kronecker, t tile, dst []T) error {
	b := k.b.grid()
	for i := range t.rows() {
		row := t.top + i
		for l := t.left; l < t.right; {
			j := l / b.cols
			r := min(t.right, (j+1)*b.cols)
			part := dst[i*t.cols()+l-t.left:][:r-l]
			if err := entries(in, k.b, row%b.rows, l%b.cols, part); err != nil {
				return err
			}
			w, err := entry(in, k.a, row/b.rows, j)
			if err != nil {
				return err
			}
			vec.Scale(part, part, w)
			l = r
		}
	}
	return nil
}

// entry is one element of a matrix.
func entry[T vec.Float](in *scratch[T], m matrix, row, col int64) (T, error) {
	defer in.giveBack(in.used)
	one := in.take(1)
	err := entries(in, m, row, col, one)
	return one[0], err
}

// entries are elements of a row of a matrix, which is held whole if it is small.
func entries[T vec.Float](in *scratch[T], m matrix, row, col int64, dst []T) error {
	g := m.grid()
	if !held(m) {
		return fill(in, m, tile{0, row, row + 1, col, col + int64(len(dst))}, dst)
	}
	key := panelKey{of: wholly{m}}
	whole, err := in.borrow(key, g.elements(), func(dst []T) error {
		return g.tiles(0, g.elements(), func(t tile) error {
			return fill(in, m, t, dst[t.top*g.cols+t.left:][:t.elements()])
		})
	})
	if err != nil {
		return err
	}
	defer in.returnPanel(key)
	copy(dst, whole[row*g.cols+col:])
	return nil
}

// wholly keys a matrix that is held whole apart from what it holds itself.
type wholly struct{ matrix }
