package moments

import (
	"fmt"
	"slices"

	"weld/format"
	"weld/internal/vec"
)

// decoder finds how the second moment of a parameter is computed, and its shape; nil where there is none.
func (s *states) decoder(p param) (decoder, []int64, error) {
	tensors := s.raw.Tensors()
	part := func(kind string) (int, bool) { i, ok := p.parts[kind]; return i, ok }
	if _, ok := part(differences); ok {
		return nil, nil, s.fault(format.KindUnsupported, p.key, "Adan's second moments are of gradients and their differences (%s)", differences)
	}
	for _, kind := range averaged {
		if i, ok := part(kind); ok {
			return s.plain(i, kind != "variance")
		}
	}
	if i, ok := part(summed); ok {
		t := tensors[i]
		if !t.Computable() {
			return nil, nil, s.fault(format.KindDType, t.Name, "a sum of squares of %v, with which weld does not compute", t.DType)
		}
		return &accumulated{tensor: i, dtype: t.DType, steps: 1}, t.Shape, nil
	}
	if r, c, any, _ := p.factors(); any {
		shape, ok := s.product(p)
		whole, said := s.whole(p)
		if !ok || said && !slices.Equal(whole, shape) || !tensors[r].Computable() || !tensors[c].Computable() {
			return nil, nil, s.fault(format.KindShape, p.key, "its state has not two factors that belong together: means over rows (exp_avg_sq_row, row_var), and means over columns (exp_avg_sq_col, col_var)")
		}
		d := &factored{rowMeans: r, colMeans: c, rows: shape[len(shape)-2], cols: shape[len(shape)-1]}
		if err := d.measure(s.raw); err != nil {
			return nil, nil, s.fault(format.KindNonfinite, p.key, "%v", err)
		}
		return d, shape, nil
	}
	codes, ok := part("state2")
	if !ok {
		return nil, nil, nil
	}
	scales, scaled := part("absmax2")
	table, tabled := part("qmap2")
	if !scaled && !tabled {
		return s.plain(codes, true)
	}
	t := tensors[codes]
	block := int64(0)
	if scaled && tabled && t.DType == format.U8 && tensors[scales].DType == format.F32 && tensors[table].DType == format.F32 && tensors[table].Elements() == 256 {
		for _, b := range []int64{256, 2048} { // as versions of bitsandbytes have it
			if tensors[scales].Elements() == (t.Elements()+b-1)/b {
				block = b
				break
			}
		}
	}
	if block == 0 {
		return nil, nil, s.fault(format.KindScheme, p.key, "its state2 is no row of 8-bit codes with absmax2 for blocks of 256 or 2048 of them and a table qmap2, as bitsandbytes writes them")
	}
	return &blockwise{codes: codes, scales: scales, table: table, block: block, bias: 1}, t.Shape, nil
}

// plain is a second moment that is stored as it is; fades says whether it began at zero.
func (s *states) plain(i int, fades bool) (decoder, []int64, error) {
	t := s.raw.Tensors()[i]
	if !t.Computable() {
		return nil, nil, s.fault(format.KindDType, t.Name, "a second moment of %v, with which weld does not compute", t.DType)
	}
	return &stored{i, t.DType, fades, 1}, t.Shape, nil
}

// shape is that of the parameter that a state is of.
func (s *states) shape(p param) ([]int64, bool) {
	if shape, ok := s.whole(p); ok {
		return shape, true
	}
	return s.product(p)
}

// whole is the shape of what is kept of a parameter element by element.
func (s *states) whole(p param) ([]int64, bool) {
	i, ok := p.kept("exp_avg_sq", "square_avg", "variance", summed, "state2", "exp_avg", "state1", "momentum_buffer", "exp_inf")
	if !ok {
		return nil, false
	}
	return s.raw.Tensors()[i].Shape, true
}

// product is the shape of the product of Adafactor's factors: transformers' lack a dimension each, in torch's it is 1.
func (s *states) product(p param) ([]int64, bool) {
	r, c, _, paired := p.factors()
	if !paired {
		return nil, false
	}
	rows, cols := s.raw.Tensors()[r].Shape, s.raw.Tensors()[c].Shape
	if _, torch := p.parts[factors[1][0]]; torch {
		last := len(rows) - 1
		if last < 1 || len(cols) != len(rows) || rows[last] != 1 || cols[last-1] != 1 {
			return nil, false
		}
		rows, cols = rows[:last], append(slices.Clone(cols[:last-1]), cols[last])
	}
	last := len(rows) - 1
	if last < 0 || slices.Contains(rows, 0) || slices.Contains(cols, 0) || len(cols) != len(rows) || !slices.Equal(rows[:last], cols[:last]) {
		return nil, false
	}
	return append(slices.Clone(rows), cols[last]), true
}

// fill computes elements from lo on, piece by piece.
func (m *Moments) fill(from lender, i int, lo int64, out []byte) error {
	for len(out) > 0 {
		n := min(len(out)/width, pieceElements)
		piece, inPlace := vec.Floats(out[:n*width])
		if !inPlace {
			piece = make([]float32, n)
		}
		if err := m.from[i].fill(from, piece, lo); err != nil {
			return err
		}
		if k := slices.IndexFunc(piece, func(x float32) bool { return x < 0 }); k >= 0 {
			return &format.Error{Path: m.Path(), Tensor: m.tensors[i].Name, Kind: format.KindNonfinite, Detail: fmt.Sprintf("element %d of its second moment is %g, and means of squares are not negative", lo+int64(k), piece[k])}
		}
		if !inPlace {
			vec.EncodeF32(out[:n*width], piece)
		}
		lo, out = lo+int64(n), out[n*width:]
	}
	return nil
}

// stored is a second moment as it is.
type stored struct {
	tensor int
	dtype  format.DType
	fades  bool
	bias   float64 // 1 − β^t
}

func (d *stored) first() int { return d.tensor }
func (d *stored) stored(lo, n int64) (off, bytes int64) {
	width := int64(d.dtype.Bits()) / 8
	return lo * width, n * width
}
func (d *stored) fill(from lender, dst []float32, lo int64) error {
	return from.values(d.tensor, lo, int64(len(dst)), func(data []byte) {
		decode(d.dtype, dst, data)
		unbias(dst, d.bias)
	})
}

// accumulated is a sum of squares, of which the mean is shown.
type accumulated struct {
	tensor  int
	dtype   format.DType
	initial float64 // with which it began
	steps   float64
}

func (d *accumulated) first() int { return d.tensor }
func (d *accumulated) stored(lo, n int64) (off, bytes int64) {
	width := int64(d.dtype.Bits()) / 8
	return lo * width, n * width
}
func (d *accumulated) fill(from lender, dst []float32, lo int64) error {
	sums, err := from.vector(d.tensor, lo, int64(len(dst)))
	for i, sum := range sums {
		dst[i] = float32((sum - d.initial) / d.steps)
	}
	return err
}

// decode decodes values, each rounded once.
func decode(t format.DType, dst []float32, data []byte) {
	if t == format.F32 {
		vec.DecodeF32(dst, data)
		return
	}
	wide := make([]float64, len(dst))
	format.Decode(t, wide, data)
	for i, x := range wide {
		dst[i] = float32(x)
	}
}

// unbias divides, each quotient rounded once.
func unbias(x []float32, by float64) {
	if by == 1 {
		return
	}
	for i, v := range x {
		x[i] = float32(float64(v) / by)
	}
}

// blockwise are the codes of bitsandbytes: an element is the table's value times the largest of its block.
type blockwise struct {
	codes, scales, table int
	block                int64
	bias                 float64
}

func (d *blockwise) first() int                            { return d.codes }
func (d *blockwise) stored(lo, n int64) (off, bytes int64) { return lo, n }
func (d *blockwise) fill(from lender, dst []float32, lo int64) error {
	var table [256]float32
	if err := from.values(d.table, 0, 256, func(data []byte) { vec.DecodeF32(table[:], data) }); err != nil {
		return err
	}
	n := int64(len(dst))
	first, end := lo/d.block, (lo+n+d.block-1)/d.block
	largest := make([]float32, end-first)
	if err := from.values(d.scales, first, end-first, func(data []byte) { vec.DecodeF32(largest, data) }); err != nil {
		return err
	}
	return from.values(d.codes, lo, n, func(codes []byte) {
		for i, code := range codes {
			dst[i] = table[code] * largest[(lo+int64(i))/d.block-first]
		}
		unbias(dst, d.bias)
	})
}

// factored is the product of Adafactor's factors: means of rows and of columns.
type factored struct {
	rowMeans, colMeans int
	rows, cols         int64     // of each matrix
	means              []float64 // of the means of rows, of each matrix
}

// measure computes the means.
func (d *factored) measure(c format.Checkpoint) error {
	for at := int64(0); at < c.Tensors()[d.rowMeans].Elements(); at += d.rows {
		r, err := viewed(c).vector(d.rowMeans, at, d.rows)
		if err != nil {
			return err
		}
		sum := 0.0
		for _, x := range r {
			if x < 0 {
				return fmt.Errorf("%q holds %g, and means of squares are not negative", c.Tensors()[d.rowMeans].Name, x)
			}
			sum += x
		}
		d.means = append(d.means, sum/float64(d.rows))
	}
	return nil
}

func (d *factored) first() int                           { return d.rowMeans }
func (d *factored) stored(_, _ int64) (off, bytes int64) { return 0, 0 } // factors are small, and wanted again
func (d *factored) fill(from lender, dst []float32, lo int64) error {
	for len(dst) > 0 {
		row := lo / d.cols
		n := int(min(int64(len(dst)), (row/d.rows+1)*d.rows*d.cols-lo)) // of one matrix
		if err := d.matrix(from, dst[:n], lo, row/d.rows); err != nil {
			return err
		}
		dst, lo = dst[n:], lo+int64(n)
	}
	return nil
}

// matrix computes elements of one matrix.
func (d *factored) matrix(from lender, dst []float32, lo, matrix int64) error {
	mean := d.means[matrix]
	if mean == 0 { // no gradient at all
		clear(dst)
		return nil
	}
	first := lo / d.cols
	r, err := from.vector(d.rowMeans, first, (lo+int64(len(dst))-1)/d.cols-first+1)
	if err != nil {
		return err
	}
	col, err := from.vector(d.colMeans, matrix*d.cols, d.cols)
	if err != nil {
		return err
	}
	for i := range dst {
		k := lo + int64(i)
		dst[i] = float32(r[k/d.cols-first] * col[k%d.cols] / mean)
	}
	return nil
}

// vector reads elements of a tensor.
func (l lender) vector(i int, lo, n int64) ([]float64, error) {
	list := make([]float64, n)
	err := l.values(i, lo, n, func(data []byte) { format.Decode(l.of.Tensors()[i].DType, list, data) })
	return list, err
}
