package lora

import "weld/format"

// VeRA: W' = W + (b ∘ B)·(d ∘ A), with vectors b and d of each layer, and A [r, most in] and B [most out, r] that all layers share and
// of which each takes the beginning.
func (m *matching) vera(s *moduleSite) {
	if !m.only(s, []string{"vera_lambda_b", "vera_lambda_d"}, nil) {
		return
	}
	a, okA := m.shared["vera_A"]
	b, okB := m.shared["vera_B"]
	if !okA || !okB {
		if !m.reported {
			m.reported = true
			m.fault(s.first, format.KindUnsupported, "the file lacks the matrices vera_A and vera_B that all layers share (save_projection is false): PyTorch's random numbers of projection_prng_key make them, which weld does not have; save the adapter with save_projection")
		}
		return
	}
	target, size, ok := m.weight(s)
	if !ok {
		return
	}
	out, rank := m.adapter.Tensors()[s.slots["vera_lambda_b"]].Elements(), m.config.rank
	turned, ok := m.turned(s, target)
	if !ok {
		return
	}
	rows, in := size.rows, size.cols
	if turned {
		rows, in = size.cols, size.rows
	}
	rankA, most, okA := m.matrixShape(a, false)
	mostOut, rankB, okB := m.matrixShape(b, false)
	switch {
	case !okA || !okB:
		return
	case rows != out || len(m.base.Tensors()[target].Shape) != 2:
		m.fault(s.first, format.KindShape, "%d outputs, but the base's %q has %v", out, clip(m.base.Tensors()[target].Name), m.base.Tensors()[target].Shape)
		return
	case rankA != rank || rankB != rank || m.adapter.Tensors()[s.slots["vera_lambda_d"]].Elements() != rank:
		m.fault(s.first, format.KindShape, "vera_A %v, vera_B %v and vera_lambda_d %v, but %s gives the rank %d", m.shape(a), m.shape(b), m.shape(s.slots["vera_lambda_d"]), ConfigName, rank)
		return
	case most < in || mostOut < out:
		m.fault(s.first, format.KindShape, "vera_A %v and vera_B %v are too small for the base's %q with %v", m.shape(a), m.shape(b), clip(m.base.Tensors()[target].Name), m.base.Tensors()[target].Shape)
		return
	}
	p := &product{size: size, rank: rank, left: m.positionsFirst(b, rank), right: m.rankFirst(a, most)}
	p.left.perPosition = m.vector(s.slots["vera_lambda_b"])
	p.right.perRank = m.vector(s.slots["vera_lambda_d"])
	if turned {
		p.left, p.right = p.right, p.left
	}
	m.change(target, s.first, size, &addition{matrix: p, scale: 1})
}
