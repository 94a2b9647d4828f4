package lora

import (
	"slices"

	"weld/format"
)

// LoRA: W' = W + s·B·A of a linear layer W [out, in], a convolution W [out, in, …], with A [r, in, …] and
// B [out, r, 1, …], or an embedding W [vocabulary, width] = (B·A)ᵀ; b' = b + s·b_B where lora_bias gives the adapter
// a bias of its own; and all of W' normalised where it has magnitudes.

func (m *matching) lora(s *moduleSite) {
	switch params := m.parameters(s); {
	case len(params) > 0:
		m.experts(s, params)
	case m.absent(s):
	case s.depth > 0:
		m.fault(s.first, format.KindKey, "it lies inside of another wrapper, but target_parameters names no tensor of %q that is in the base", clip(s.module))
	case has(s.slots, "lora_embedding_A", "lora_embedding_B"):
		if m.only(s, []string{"lora_embedding_A", "lora_embedding_B"}, []string{"lora_magnitude_vector"}) {
			m.pair(s, s.slots["lora_embedding_A"], s.slots["lora_embedding_B"], true)
		}
	default:
		if m.only(s, []string{"lora_A", "lora_B"}, []string{"lora_magnitude_vector", biasSlot}) {
			m.pair(s, s.slots["lora_A"], s.slots["lora_B"], false)
		}
	}
}

// pair makes the step of two factors.
func (m *matching) pair(s *moduleSite, a, b int, embedding bool) {
	target, size, ok := m.weight(s)
	if !ok {
		return
	}
	p, turned, ok := m.factors(s, target, size, a, b, embedding)
	if !ok {
		return
	}
	step := &addition{matrix: p, scale: m.config.scale(s.module)}
	m.change(target, a, size, m.normalised(s, step, turned))
	if i, ok := s.slots[biasSlot]; ok {
		m.addBias(s, i, step.scale)
	}
}

// normalised makes DoRA of a step where the site has magnitudes.
func (m *matching) normalised(s *moduleSite, step *addition, turned bool) delta {
	magnitude, ok := s.slots["lora_magnitude_vector"]
	switch {
	case !ok && m.config.dora:
		m.fault(s.first, format.KindKey, "there is no lora_magnitude_vector beside it, but %s says use_dora", ConfigName)
	case ok && !m.config.dora:
		m.fault(magnitude, format.KindKey, "a magnitude (DoRA), but %s does not say use_dora", ConfigName)
	case ok && has(s.slots, biasSlot):
		m.fault(magnitude, format.KindUnsupported, "a magnitude (DoRA) of a layer whose adapter has a bias: PEFT allows only one of them")
	case ok:
		if d := m.dora(step, magnitude, turned); d != nil {
			return d
		}
	}
	return step
}

// factors checks A and B against their target.
func (m *matching) factors(s *moduleSite, target int, size grid, a, b int, embedding bool) (p *product, turned, ok bool) {
	of := m.base.Tensors()[target]
	deep := len(of.Shape) > 2
	r, in, okA := m.matrixShape(a, deep)
	out, rB, okB := m.matrixShape(b, deep)
	rank := m.config.rankOf(s.module)
	switch {
	case !okA || !okB:
		return nil, false, false
	case r != rank || rB != rank:
		hint := ""
		if deep && rB < rank && rank%max(rB, 1) == 0 {
			hint = "; this is how the adapter of a convolution in groups looks, which no one convolution stands for (PEFT does not merge it either)"
		}
		m.fault(a, format.KindShape, "factors A %v and B %v, but %s gives the rank %d%s", m.shape(a), m.shape(b), ConfigName, rank, hint)
		return nil, false, false
	case deep && !slices.Equal(m.shape(a)[1:], of.Shape[1:]):
		m.fault(a, format.KindShape, "a factor A %v, but the base's %q has %v", m.shape(a), clip(of.Name), of.Shape)
		return nil, false, false
	}
	if turned = embedding; !embedding {
		if turned, ok = m.turned(s, target); !ok {
			return nil, false, false
		}
	}
	rows, cols := out, in
	if turned {
		rows, cols = in, out
	}
	if rows != size.rows || cols != size.cols {
		m.fault(a, format.KindShape, "a product of shape %v, but the base's %q has %v", []int64{rows, cols}, clip(of.Name), of.Shape)
		return nil, false, false
	}
	p = &product{size: size, rank: rank, left: m.positionsFirst(b, rank), right: m.rankFirst(a, in)}
	if turned {
		p.left, p.right = p.right, p.left
	}
	return p, turned, true
}

// addBias adds a bias of the adapter's own to the layer's.
func (m *matching) addBias(s *moduleSite, i int, scale float64) {
	target, size, ok := m.bias(s)
	t := m.adapter.Tensors()[i]
	switch {
	case !ok:
		m.fault(i, format.KindUnsupported, "a bias (lora_bias) for a layer that has none in the base, so that there is nothing to add it to; PEFT does not merge it either")
	case t.Elements() != size.cols:
		m.fault(i, format.KindShape, "shape %v, but the bias in the base has %d elements", t.Shape, size.cols)
	default:
		m.change(target, i, size, &addition{matrix: &stored{*m.vector(i), size}, scale: scale})
	}
}
