package lora

import (
	"slices"

	"weld/format"
)

// What adapters without a configuration compute, with s = alpha/r of each module:
//
//	lora_down A, lora_up B         W + s·B·A
//	with lora_mid                  the same in Tucker form, B·R with R multiplied out of the core (core.go)
//	hada_…, lokr_…                 LoHa and LoKr, as lycoris.go has them
//	with dora_scale m              (m / (‖V‖ + ε))·V of V, any of these
//	diff, diff_b; w_norm, b_norm   W + D, b + d
//
// What is right is what LyCORIS' live modules compute. Its merge (4.1.3, get_diff_weight of loha.py and lokr.py) multiplies
// LoHa and LoKr with s twice.

// bare makes the steps of a module by the slots that it has.
func (m *matching) bare(s *moduleSite) {
	switch {
	case has(s.slots, "lora_A", "lora_B"):
		m.downUp(s)
	case has(s.slots, "hada_w1_a", "hada_w1_b"):
		m.loha(s)
	case has(s.slots, "lokr_w1", "lokr_w1_a"):
		m.lokr(s)
	case has(s.slots, "diff"):
		m.differences(s, "diff", "diff_b")
	case has(s.slots, "w_norm"):
		m.differences(s, "w_norm", "b_norm")
	default:
		m.fault(s.first, format.KindKey, "nothing beside it says what is done to %q: there is no lora_up, hada_w1_a, lokr_w1, diff or w_norm", clip(s.module))
	}
}

// downUp is W' = W + s·B·A, in Tucker form with a core between the two.
func (m *matching) downUp(s *moduleSite) {
	if !m.only(s, []string{"lora_A", "lora_B"}, m.config.besides("lora_mid", "lora_magnitude_vector", biasSlot)) {
		return
	}
	target, size, ok := m.weight(s)
	if !ok {
		return
	}
	if s.cut == nil && !m.straight(s, target) {
		return
	}
	p, ok := m.downUpOf(s, target)
	if !ok {
		return
	}
	if p.size != size {
		m.unfit(s, target, p.size)
		return
	}
	m.changeBy(s, target, size, p)
	if i, ok := s.slots[biasSlot]; ok && s.cut == nil {
		m.addBias(s, i, m.config.scale(s.module))
	}
}

// straight demands that a layer of the base is [out, in].
func (m *matching) straight(s *moduleSite, target int) bool {
	turned, ok := m.turned(s, target)
	if turned {
		m.fault(s.first, format.KindUnsupported, "the base's %q is [in, out], as transformers' Conv1D has it, which adapters of these programs are not for", clip(m.base.Tensors()[target].Name))
	}
	return ok && !turned
}

// downUpOf checks A [r, in, …] and B [out, r, 1, …], of which trailing dimensions of 1 say nothing: layers of one point are
// linear in some models and convolutions in others.
func (m *matching) downUpOf(s *moduleSite, target int) (*product, bool) {
	a, b, rank := s.slots["lora_A"], s.slots["lora_B"], m.config.rankOf(s.module)
	r, cols, okA := m.matrixShape(a, true)
	out, rankB, okB := m.matrixShape(b, true)
	core, tucker := s.slots["lora_mid"]
	of := m.base.Tensors()[target]
	inner := of.Shape[1:]
	if tucker {
		inner = of.Shape[1:2]
	}
	switch {
	case !okA || !okB:
		return nil, false
	case r != rank || rank == 0 || rankB != rank || len(pointed(m.shape(b)[1:])) > 1:
		m.fault(a, format.KindShape, "factors A %v and B %v, which are not of one rank", m.shape(a), m.shape(b))
		return nil, false
	case !slices.Equal(pointed(m.shape(a)[1:]), pointed(inner)):
		m.fault(a, format.KindShape, "a factor A %v, but the base's %q has %v", m.shape(a), clip(of.Name), of.Shape)
		return nil, false
	}
	p := &product{size: grid{1, out, cols}, rank: rank, left: m.positionsFirst(b, rank), right: m.rankFirst(a, cols)}
	if tucker && !m.withCore(p, core, m.kernel(target)) {
		return nil, false
	}
	return p, true
}

// pointed is a shape without trailing dimensions of 1, but for its first.
func pointed(shape []int64) []int64 {
	for len(shape) > 1 && shape[len(shape)-1] == 1 {
		shape = shape[:len(shape)-1]
	}
	return shape
}

// changeBy adds s·M to a tensor, and normalises the sum where the site has magnitudes for it.
func (m *matching) changeBy(s *moduleSite, target int, size grid, matrix matrix) {
	step := &addition{matrix: matrix, scale: m.config.scale(s.module)}
	if s.cut != nil {
		m.changeCut(s, step)
		return
	}
	whole, named := s.slots["dora_scale"]
	plain, peft := s.slots["lora_magnitude_vector"]
	var d delta = step
	switch {
	case named && peft || peft && has(s.slots, biasSlot):
		m.fault(plain, format.KindUnsupported, "a magnitude (DoRA) beside %s", map[bool]string{true: "another", false: "a bias of the adapter's own"}[named])
		return
	case named:
		d = m.weightDecomposed(step, whole, m.kernel(target))
	case peft:
		d = m.dora(step, plain, false)
	}
	if d != nil {
		m.change(target, s.first, size, d)
	}
}

// epsilon is torch.finfo(torch.float32).eps, which LyCORIS adds to a norm.
const epsilon = 0x1p-23

// weightDecomposed is DoRA as LyCORIS has it: magnitudes [out, 1, …] of outputs (wd_on_out), or [1, in, 1, …] of inputs.
func (m *matching) weightDecomposed(inner *addition, magnitude int, kernel int64) delta {
	shape, size := m.shape(magnitude), inner.matrix.grid()
	d := &dora{inner: inner, magnitude: *m.vector(magnitude), run: 1, eps: epsilon, outputs: size.rows}
	flat := pointed(shape)
	switch {
	case len(shape) < 2 || !m.adapter.Tensors()[magnitude].DType.Computable():
	case len(flat) == 1 && flat[0] == size.rows:
		return d
	case len(flat) == 2 && flat[0] == 1 && kernel > 0 && flat[1] == size.cols/kernel:
		d.columns, d.run, d.outputs = true, kernel, flat[1]
		return d
	}
	m.fault(magnitude, format.KindShape, "magnitudes %v for a weight of %d rows and %d columns, %d to each input: neither one for each output nor one for each input", shape, size.rows, size.cols, kernel)
	return nil
}

// differences adds tensors to a weight and to its bias as they are.
func (m *matching) differences(s *moduleSite, weight, bias string) {
	if !m.only(s, []string{weight}, []string{bias}) {
		return
	}
	if s.cut != nil {
		m.fault(s.first, format.KindUnsupported, "a difference for %s", s.cut.said())
		return
	}
	for slot, leaf := range map[string]string{weight: ".weight", bias: ".bias"} {
		i, ok := s.slots[slot]
		if !ok {
			continue
		}
		target, found := m.find(i, s.module+leaf)
		if !found {
			continue
		}
		of := m.base.Tensors()[target]
		if !slices.Equal(of.Shape, m.shape(i)) {
			m.fault(i, format.KindShape, "shape %v, but the base's %q has %v", m.shape(i), clip(of.Name), of.Shape)
			continue
		}
		size := grid{1, 1, of.Elements()}
		m.change(target, i, size, &addition{matrix: &stored{*m.vector(i), size}, scale: 1})
	}
}
