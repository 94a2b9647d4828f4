package lora

import (
	"weld/format"
	"weld/internal/vec"
)

// delta is a step that turns the elements of a tensor into others, tile by tile and in place.
type delta interface {
	needs() needs
	// reads lists the tensors of the adapter that it is computed from.
	reads() []int
	singles(in *scratch[float32], of *layer, t tile, w []float32) error
	doubles(in *scratch[float64], of *layer, t tile, w []float64) error
}

// layer is a tensor that an adapter changes.
type layer struct {
	from   format.Checkpoint // where W lies: the base, or the adapter that replaces it
	tensor int
	source format.DType // of W
	shown  format.DType // of the result
	size   grid
	steps  []delta // in their order
}

// needs are those of the largest step.
func (l *layer) needs() (n needs) {
	for _, d := range l.steps {
		n = n.or(d.needs())
	}
	return n
}

// step takes one step of a tile.
func step[T vec.Float](in *scratch[T], d delta, of *layer, t tile, w []T) error {
	switch in := any(in).(type) {
	case *scratch[float32]:
		return d.singles(in, of, t, any(w).([]float32))
	case *scratch[float64]:
		return d.doubles(in, of, t, any(w).([]float64))
	}
	return nil // vec.Float has no other
}

// compute fills out with elements of a layer from element lo on.
func compute[T vec.Float](pool *scratchPool[T], l *layer, out []byte, lo int64) error {
	in := pool.enter()
	defer pool.leave(in)
	width := int64(l.shown.Bits() / 8)
	held := in.take(tileElements)
	return l.size.tiles(lo, lo+int64(len(out))/width, func(t tile) error {
		w := held[:t.elements()]
		if err := readTile(l.from, l.tensor, l.source, l.size, t, w); err != nil {
			return err
		}
		for _, d := range l.steps {
			if err := step(in, d, l, t, w); err != nil {
				return err
			}
		}
		l.write(out, lo, t, func(at []byte, first, n int64) { format.Encode(l.shown, at, w[first:first+n]) })
		return nil
	})
}

// write has the rows of a tile written where they stand in out, which begins at element lo.
func (l *layer) write(out []byte, lo int64, t tile, encode func(at []byte, first, n int64)) {
	width := int64(l.shown.Bits() / 8)
	n, rows := t.cols(), t.rows()
	if n == l.size.cols { // one run
		n, rows = n*rows, 1
	}
	first := (t.slice*l.size.rows+t.top)*l.size.cols + t.left
	for i := range rows {
		encode(out[(first+i*l.size.cols-lo)*width:][:n*width], i*n, n)
	}
}

// addition is W + s·M.
type addition struct {
	matrix matrix
	scale  float64
}

func (a *addition) needs() needs {
	return a.matrix.needs().within(needs{elements: tileElements})
}
func (a *addition) reads() []int { return a.matrix.reads() }

func (a *addition) singles(in *scratch[float32], _ *layer, t tile, w []float32) error {
	return add(in, a, t, w)
}

func (a *addition) doubles(in *scratch[float64], _ *layer, t tile, w []float64) error {
	return add(in, a, t, w)
}

func add[T vec.Float](in *scratch[T], a *addition, t tile, w []T) error {
	defer in.giveBack(in.used)
	sum := in.take(t.elements())
	if err := fill(in, a.matrix, t, sum); err != nil {
		return err
	}
	vec.Apply(w, w, T(a.scale), sum)
	return nil
}
