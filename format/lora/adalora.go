package lora

import "weld/format"

// AdaLoRA: W' = W + s/(r + 1e-5)·B·(E ∘ A), with s the configured alpha and r the rank that training began with.
func (m *matching) adalora(s *moduleSite) {
	if !m.only(s, []string{"lora_A", "lora_B", "lora_E"}, []string{"ranknum"}) {
		return
	}
	a, b, e := s.slots["lora_A"], s.slots["lora_B"], s.slots["lora_E"]
	target, size, ok := m.weight(s)
	if !ok {
		return
	}
	p, _, ok := m.factors(s, target, size, a, b, false)
	if !ok {
		return
	}
	if n := m.adapter.Tensors()[e].Elements(); n != p.rank {
		m.fault(e, format.KindShape, "%d elements for the rank %d", n, p.rank)
		return
	}
	for _, f := range []*factor{&p.left, &p.right} {
		if f.tensor == a {
			f.perRank = m.vector(e)
		}
	}
	m.change(target, a, size, &addition{matrix: p, scale: m.config.scale(s.module)})
}
