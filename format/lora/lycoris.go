package lora

import "weld/format"

// LoHa: W' = W + s·(A₁·B₁)∘(A₂·B₂). In Tucker form, for convolutions under use_effective_conv2d, each of the
// two is Aᵀ·R with R multiplied out of its core.
func (m *matching) loha(s *moduleSite) {
	needed := []string{"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"}
	if has(s.slots, "hada_t1", "hada_t2") {
		needed = append(needed, "hada_t1", "hada_t2")
	}
	if !m.only(s, needed, m.config.besides()) {
		return
	}
	target, size, ok := m.weight(s)
	if !ok {
		return
	}
	var halves [2]matrix
	for i, half := range []string{"1", "2"} {
		halves[i], ok = m.lowRank(s, "hada_w"+half+"_a", "hada_w"+half+"_b", "hada_t"+half, m.kernel(target))
		if !ok {
			return
		}
		if halves[i].grid() != size {
			m.unfit(s, target, halves[i].grid())
			return
		}
	}
	m.changeBy(s, target, size, &hadamard{halves[0], halves[1]})
}

// LoKr: W' = W + s·(W₁ ⊗ W₂), each of the two stored as it is or as a product, the second in Tucker form
// perhaps. A convolution [out, in, …] is the matrix [out, in·…], of which the kernel belongs to W₂.
func (m *matching) lokr(s *moduleSite) {
	if !m.only(s, nil, m.config.besides("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2")) {
		return
	}
	target, size, ok := m.weight(s)
	if !ok {
		return
	}
	w1, ok := m.side(s, "lokr_w1", "", 1)
	if !ok {
		return
	}
	w2, ok := m.side(s, "lokr_w2", "lokr_t2", m.kernel(target))
	if !ok {
		return
	}
	k := &kronecker{w1, w2}
	if k.grid() != size {
		m.unfit(s, target, k.grid())
		return
	}
	m.changeBy(s, target, size, k)
}

// side is one side of a Kronecker product.
func (m *matching) side(s *moduleSite, slot, core string, kernel int64) (matrix, bool) {
	i, whole := s.slots[slot]
	if !whole {
		if !has(s.slots, slot+"_a") || !has(s.slots, slot+"_b") {
			m.fault(s.first, format.KindKey, "there is neither %s beside it nor both of %[1]s_a and %[1]s_b", slot)
			return nil, false
		}
		return m.lowRank(s, slot+"_a", slot+"_b", core, kernel)
	}
	if has(s.slots, slot+"_a", slot+"_b") {
		m.fault(i, format.KindDuplicate, "its factors are there as well")
		return nil, false
	}
	if len(m.shape(i)) == 3 && m.config.own == nil {
		// torch.kron of [a, c] and [b, d, k] is [b, a·d, c·k], which PEFT then calls [a·b, c·d, k].
		m.fault(i, format.KindUnsupported, "a whole lokr_w2 of a convolution in one dimension: PEFT 0.21 multiplies its axes in another order than the weight has them")
		return nil, false
	}
	rows, cols, ok := m.matrixShape(i, true)
	return &stored{*m.vector(i), grid{1, rows, cols}}, ok
}

// lowRank is a product of two slots, in Tucker form where there is a core.
func (m *matching) lowRank(s *moduleSite, slotA, slotB, slotCore string, kernel int64) (matrix, bool) {
	a, b, rank := s.slots[slotA], s.slots[slotB], m.config.rankOf(s.module)
	t, tucker := s.slots[slotCore]
	rowsA, colsA, okA := m.matrixShape(a, false)
	rowsB, colsB, okB := m.matrixShape(b, false)
	if !okA || !okB {
		return nil, false
	}
	out, rankA := rowsA, colsA
	if tucker {
		out, rankA = colsA, rowsA
	}
	if rankA != rank || rowsB != rank {
		m.fault(a, format.KindShape, "factors %v and %v, but %s gives the rank %d", m.shape(a), m.shape(b), m.config.source(), rank)
		return nil, false
	}
	p := &product{size: grid{1, out, colsB}, rank: rank, left: m.positionsFirst(a, rank), right: m.rankFirst(b, colsB)}
	if !tucker {
		return p, true
	}
	p.left = m.rankFirst(a, out)
	return p, m.withCore(p, t, kernel)
}

// withCore has the right factor of a product multiplied out of a core, tensor t.
func (m *matching) withCore(p *product, t int, kernel int64) bool {
	shape, rank := m.shape(t), p.rank
	if n, fits := format.Elements(shape); !fits || len(shape) < 3 || shape[0] != rank || shape[1] != rank || n != rank*rank*kernel {
		m.fault(t, format.KindShape, "a core %v for the rank %d and kernels of %d elements", shape, rank, kernel)
		return false
	}
	cols, fits := format.Elements([]int64{p.size.cols, kernel})
	if !fits {
		m.fault(t, format.KindOverflow, "%d columns for kernels of %d elements", p.size.cols, kernel)
		return false
	}
	p.size.cols, p.core = cols, &core{*m.vector(t), kernel}
	return true
}

// kernel is how many elements a kernel of a convolution has; 1 of a linear layer.
func (m *matching) kernel(target int) int64 {
	n, _ := format.Elements(m.base.Tensors()[target].Shape[2:])
	return max(n, 1)
}

// unfit says that what an adapter computes has another shape than its target.
func (m *matching) unfit(s *moduleSite, target int, size grid) {
	if s.cut != nil {
		_, of, _ := m.strips(s)
		m.fault(s.first, format.KindShape, "a product of shape [%d %d], but of shape [%d %d] is %s", size.rows, size.cols, of.rows, of.cols, s.cut.said())
		return
	}
	t := m.base.Tensors()[target]
	m.fault(s.first, format.KindShape, "a product of shape [%d %d], but the base's %q has %v", size.rows, size.cols, clip(t.Name), t.Shape)
}
