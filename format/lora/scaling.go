package lora

import "weld/internal/vec"

// scaling multiplies rows or columns with a vector's elements. Columns of a convolution belong
// to one input for each run of a kernel's elements.
type scaling struct {
	by      vector
	columns bool
	run     int64 // columns for which an element of the vector serves
}

func (s *scaling) needs() needs { return needs{elements: tileElements} }
func (s *scaling) reads() []int { return []int{s.by.tensor} }

func (s *scaling) singles(in *scratch[float32], _ *layer, t tile, w []float32) error {
	return scaleTile(in, s, t, w)
}

func (s *scaling) doubles(in *scratch[float64], _ *layer, t tile, w []float64) error {
	return scaleTile(in, s, t, w)
}

func scaleTile[T vec.Float](in *scratch[T], s *scaling, t tile, w []T) error {
	defer in.giveBack(in.used)
	lo, hi := t.top, t.bottom
	if s.columns {
		lo, hi = t.left/s.run, (t.right+s.run-1)/s.run
	}
	by := in.take(hi - lo)
	if err := read(in.adapter, s.by.tensor, s.by.dtype, by, lo); err != nil {
		return err
	}
	for i := range t.rows() {
		row := w[i*t.cols():][:t.cols()]
		switch {
		case !s.columns:
			vec.Scale(row, row, by[i])
		case s.run == 1:
			vec.Mul(row, row, by)
		default:
			for j := range row {
				row[j] *= by[(t.left+int64(j))/s.run-lo]
			}
		}
	}
	return nil
}
