package lora

import "weld/format"

// (IA)³: W' = l ∘ W and b' = l ∘ b, with an element of l for each output, or, of the layers that
// feedforward_modules names, W' = W ∘ l with one for each input.
func (m *matching) ia3(s *moduleSite) {
	if !m.only(s, []string{"ia3_l"}, nil) {
		return
	}
	i := s.slots["ia3_l"]
	target, size, ok := m.weight(s)
	if !ok {
		return
	}
	kernel, n, inputs := m.kernel(target), m.adapter.Tensors()[i].Elements(), m.feeds(s, i)
	step := &scaling{by: *m.vector(i), run: 1}
	turned, ok := m.turned(s, target)
	if !ok {
		return
	}
	wanted := size.rows
	if step.columns = inputs != turned; step.columns {
		step.run = kernel // of a convolution [out, in, …]
		wanted = size.cols / max(kernel, 1)
	}
	if n != wanted {
		m.fault(i, format.KindShape, "%d elements, but the base's %q has %v", n, clip(m.base.Tensors()[target].Name), m.base.Tensors()[target].Shape)
		return
	}
	m.change(target, i, size, step)
	if bias, size, ok := m.bias(s); ok && !inputs {
		if size.cols != n {
			m.fault(i, format.KindShape, "%d elements, but the bias in the base has %d", n, size.cols)
			return
		}
		m.change(bias, i, size, &scaling{by: *m.vector(i), columns: true, run: 1})
	}
}

// feeds reports whether a vector is for a layer's inputs. The shape says so, [1, in] or [out, 1], but that of
// convolutions, [1, n, 1, …].
func (m *matching) feeds(s *moduleSite, i int) bool {
	if shape := m.shape(i); len(shape) == 2 && shape[0] != shape[1] {
		return shape[0] == 1
	}
	return m.config.feedforward(s.module)
}
