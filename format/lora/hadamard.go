package lora

import "weld/internal/vec"

// hadamard is the product of two matrices, element by element.
type hadamard struct{ a, b matrix }

func (h *hadamard) grid() grid { return h.a.grid() }

func (h *hadamard) needs() needs {
	return h.a.needs().or(h.b.needs()).within(needs{elements: tileElements})
}

func (h *hadamard) reads() []int { return append(h.a.reads(), h.b.reads()...) }

func (h *hadamard) singles(in *scratch[float32], t tile, dst []float32) error {
	return fillHadamard(in, h, t, dst)
}

func (h *hadamard) doubles(in *scratch[float64], t tile, dst []float64) error {
	return fillHadamard(in, h, t, dst)
}

func fillHadamard[T vec.Float](in *scratch[T], h *hadamard, t tile, dst []T) error {
	defer in.giveBack(in.used)
	other := in.take(t.elements())
	if err := fill(in, h.a, t, dst); err != nil {
		return err
	}
	if err := fill(in, h.b, t, other); err != nil {
		return err
	}
	vec.Mul(dst, dst, other)
	return nil
}
