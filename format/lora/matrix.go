package lora

import "weld/internal/vec"

// matrix is what an adapter computes of itself, tile by tile: most often what is added to a tensor.
type matrix interface {
	grid() grid
	needs() needs
	// reads lists the tensors of the adapter that it is computed from.
	reads() []int
	// singles and doubles compute a tile, row after row, into dst.
	singles(in *scratch[float32], t tile, dst []float32) error
	doubles(in *scratch[float64], t tile, dst []float64) error
}

// needs are what a computation takes beside the tile that it fills.
type needs struct {
	elements int64 // of its room
	stage    int64 // elements
	panels   int64 // that it has lent at once
	panel    int64 // elements of the largest
}

// within are the needs of two computations that hold what they have at the same time.
func (n needs) within(m needs) needs {
	return needs{n.elements + m.elements, max(n.stage, m.stage), n.panels + m.panels, max(n.panel, m.panel)}
}

// or are the needs of two computations one after the other.
func (n needs) or(m needs) needs {
	return needs{max(n.elements, m.elements), max(n.stage, m.stage), max(n.panels, m.panels), max(n.panel, m.panel)}
}

// fill computes a tile of a matrix.
func fill[T vec.Float](in *scratch[T], m matrix, t tile, dst []T) error {
	switch in := any(in).(type) {
	case *scratch[float32]:
		return m.singles(in, t, any(dst).([]float32))
	case *scratch[float64]:
		return m.doubles(in, t, any(dst).([]float64))
	}
	return nil // vec.Float has no other
}

// stored is a matrix that the adapter holds as it is.
type stored struct {
	tensor vector
	size   grid
}

func (s *stored) grid() grid   { return s.size }
func (s *stored) needs() needs { return needs{} }
func (s *stored) reads() []int { return []int{s.tensor.tensor} }

func (s *stored) singles(in *scratch[float32], t tile, dst []float32) error {
	return readTile(in.adapter, s.tensor.tensor, s.tensor.dtype, s.size, t, dst)
}

func (s *stored) doubles(in *scratch[float64], t tile, dst []float64) error {
	return readTile(in.adapter, s.tensor.tensor, s.tensor.dtype, s.size, t, dst)
}
