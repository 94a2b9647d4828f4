package lora

import (
	"weld/format"
	"weld/internal/vec"
)

// tokens puts trained rows in the place of an embedding's own.
type tokens struct {
	tensor vector
	of     map[int64]int64 // the trained row that stands for a row
}

func (r *tokens) needs() needs { return needs{} }
func (r *tokens) reads() []int { return []int{r.tensor.tensor} }

func (r *tokens) singles(in *scratch[float32], of *layer, t tile, w []float32) error {
	return replaceRows(in, r, of, t, w)
}

func (r *tokens) doubles(in *scratch[float64], of *layer, t tile, w []float64) error {
	return replaceRows(in, r, of, t, w)
}

func replaceRows[T vec.Float](in *scratch[T], r *tokens, of *layer, t tile, w []T) error {
	for row := t.top; row < t.bottom; row++ {
		trained, ok := r.of[row]
		if !ok {
			continue
		}
		if err := read(in.adapter, r.tensor.tensor, r.tensor.dtype, w[(row-t.top)*t.cols():][:t.cols()], trained*of.size.cols+t.left); err != nil {
			return err
		}
	}
	return nil
}

// tokens puts trained rows into an embedding, or into an output layer.
func (m *matching) tokens(s *moduleSite) {
	if !m.only(s, []string{"trainable_tokens_delta"}, nil) {
		return
	}
	i := s.slots["trainable_tokens_delta"]
	target, size, ok := m.weight(s)
	if !ok {
		return
	}
	rows, cols, ok := m.matrixShape(i, false)
	if !ok {
		return
	}
	indices := m.config.indicesOf(s.module)
	of := make(map[int64]int64, len(indices))
	for at, row := range indices {
		if row < 0 || row >= size.rows {
			m.fault(i, format.KindShape, "%s trains the row %d, but the base's %q has %d", ConfigName, row, clip(m.base.Tensors()[target].Name), size.rows)
			return
		}
		if _, twice := of[row]; twice {
			m.fault(i, format.KindDuplicate, "%s trains the row %d twice", ConfigName, row)
			return
		}
		of[row] = int64(at)
	}
	if int64(len(indices)) != rows || cols != size.cols {
		m.fault(i, format.KindShape, "shape %v for %d rows (%s) of the base's %q %v", m.shape(i), len(indices), ConfigName, clip(m.base.Tensors()[target].Name), m.base.Tensors()[target].Shape)
		return
	}
	m.change(target, i, size, &tokens{*m.vector(i), of})
}
