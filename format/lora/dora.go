package lora

import (
	"fmt"
	"math"
	"sync"

	"weld/format"
	"weld/internal/vec"
)

// dora is (m / ‖V‖)·V with V = W + s·B·A (DoRA, arXiv 2402.09353): every output of the layer keeps the direction that the
// product gives it, and has the magnitude m. An output is a row of V, or a column where W is stored
// the other way round. The norms are those of V itself; they are measured in a walk over the tensor when
// the first of its elements is asked for, and kept, one float for each output.
type dora struct {
	inner     *addition
	magnitude vector
	columns   bool  // outputs are columns, or magnitudes are of inputs
	run       int64 // columns for which one magnitude serves: a kernel's elements
	outputs   int64
	eps       float64 // that is added to a norm

	measuring sync.Mutex
	norms     []float64 // as the result's type has them
}

func (d *dora) needs() needs {
	return d.inner.needs().within(needs{elements: tileElements + d.outputs})
}

func (d *dora) reads() []int { return append(d.inner.reads(), d.magnitude.tensor) }

func (d *dora) singles(in *scratch[float32], of *layer, t tile, w []float32) error {
	return normalise(in, d, of, t, w)
}

func (d *dora) doubles(in *scratch[float64], of *layer, t tile, w []float64) error {
	return normalise(in, d, of, t, w)
}

func normalise[T vec.Float](in *scratch[T], d *dora, of *layer, t tile, w []T) error {
	defer in.giveBack(in.used)
	norms, err := measured(in, d, of)
	if err != nil {
		return fmt.Errorf("measure the norms of the outputs: %w", err)
	}
	if err := add(in, d.inner, t, w); err != nil {
		return err
	}
	lo, hi := t.top, t.bottom
	if d.columns {
		lo, hi = t.left/d.run, (t.right+d.run-1)/d.run
	}
	by := in.take(hi - lo)
	if err := read(in.adapter, d.magnitude.tensor, d.magnitude.dtype, by, lo); err != nil {
		return err
	}
	for i := range by {
		by[i] /= T(norms[lo+int64(i)])
	}
	for i := range t.rows() {
		row := w[i*t.cols():][:t.cols()]
		switch {
		case !d.columns:
			vec.Scale(row, row, by[i])
		case d.run == 1:
			vec.Mul(row, row, by)
		default:
			for j := range row {
				row[j] *= by[(t.left+int64(j))/d.run-lo]
			}
		}
	}
	return nil
}

// measured returns the norms; after a failure the next who asks measures again.
func measured[T vec.Float](in *scratch[T], d *dora, of *layer) ([]float64, error) {
	d.measuring.Lock()
	defer d.measuring.Unlock()
	if d.norms != nil {
		return d.norms, nil
	}
	defer in.giveBack(in.used)
	held := in.take(tileElements)
	squares := make([]float64, d.outputs)
	err := of.size.tiles(0, of.size.elements(), func(t tile) error {
		w := held[:t.elements()]
		if err := readTile(of.from, of.tensor, of.source, of.size, t, w); err != nil {
			return err
		}
		if err := add(in, d.inner, t, w); err != nil {
			return err
		}
		for i, x := range w {
			output := t.top + int64(i)/t.cols()
			if d.columns {
				output = (t.left + int64(i)%t.cols()) / d.run
			}
			squares[output] += float64(x) * float64(x)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, s := range squares {
		squares[i] = float64(T(math.Sqrt(s)) + T(d.eps))
	}
	d.norms = squares
	return squares, nil
}

// dora makes a product's delta DoRA where the adapter has magnitudes for it.
func (m *matching) dora(inner *addition, magnitude int, columns bool) delta {
	t := m.adapter.Tensors()[magnitude]
	size := inner.matrix.grid()
	outputs := size.rows
	if columns {
		outputs = size.cols
	}
	if t.Elements() != outputs || !t.DType.Computable() {
		m.fault(magnitude, format.KindShape, "magnitudes %v %v for %d outputs", t.DType, t.Shape, outputs)
		return nil
	}
	return &dora{inner: inner, magnitude: vector{magnitude, t.DType}, columns: columns, run: 1, outputs: outputs}
}
