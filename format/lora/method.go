package lora

import (
	"slices"

	"weld/format"
)

// A method is a kind of adapter, PEFT's peft_type.
const (
	methodLora   = "LORA"
	methodAda    = "ADALORA"
	methodLoha   = "LOHA"
	methodLokr   = "LOKR"
	methodIA3    = "IA3"
	methodVera   = "VERA"
	methodNorms  = "LN_TUNING"
	methodTokens = "TRAINABLE_TOKENS"
)

var methods = []string{methodLora, methodAda, methodLoha, methodLokr, methodIA3, methodVera, methodNorms, methodTokens}

// build makes the steps of a module's tensors.
func (m *matching) build(s *moduleSite) {
	if _, ok := s.slots["trainable_tokens_delta"]; ok && (m.config.method == methodLora || m.config.method == methodTokens) {
		m.tokens(s)
		return
	}
	switch m.config.method {
	case "":
		m.bare(s)
	case methodLora:
		m.lora(s)
	case methodAda:
		m.adalora(s)
	case methodLoha:
		m.loha(s)
	case methodLokr:
		m.lokr(s)
	case methodIA3:
		m.ia3(s)
	case methodVera:
		m.vera(s)
	default:
		m.only(s, nil, nil)
	}
}

// weight finds the tensor that a module's wrapper changes, and sees it as a matrix.
func (m *matching) weight(s *moduleSite) (target int, size grid, ok bool) {
	if s.cut != nil {
		return m.weightOfCut(s)
	}
	target, ok = m.find(s.first, s.module+".weight")
	if !ok {
		return 0, grid{}, false
	}
	t := m.base.Tensors()[target]
	if len(t.Shape) < 2 {
		m.fault(s.first, format.KindShape, "the base's %q has %v, which is no matrix", clip(t.Name), t.Shape)
		return 0, grid{}, false
	}
	n, fits := format.Elements(t.Shape[1:])
	if !fits {
		m.fault(s.first, format.KindOverflow, "the base's %q has %v", clip(t.Name), t.Shape)
		return 0, grid{}, false
	}
	return target, grid{1, t.Shape[0], n}, true
}

// bias finds a module's bias, which few have.
func (m *matching) bias(s *moduleSite) (target int, size grid, ok bool) {
	target, ok = m.look(s.module + ".bias")
	if !ok {
		return 0, grid{}, false
	}
	return target, grid{1, 1, m.base.Tensors()[target].Elements()}, true
}

func (m *matching) shape(i int) []int64 { return m.adapter.Tensors()[i].Shape }

// matrixShape demands that a tensor is a matrix, flattened behind its first dimension if deep.
func (m *matching) matrixShape(i int, deep bool) (rows, cols int64, ok bool) {
	shape := m.shape(i)
	if len(shape) < 2 || len(shape) > 2 && !deep {
		m.fault(i, format.KindShape, "shape %v, where two dimensions are expected", shape)
		return 0, 0, false
	}
	cols, fits := format.Elements(shape[1:])
	if !fits {
		m.fault(i, format.KindOverflow, "shape %v", shape)
	}
	return shape[0], cols, fits
}

// positionsFirst is a factor that is stored with a row of the rank's elements for each position.
func (m *matching) positionsFirst(i int, rank int64) factor {
	return factor{tensor: i, dtype: m.adapter.Tensors()[i].DType, position: rank, rank: 1}
}

// rankFirst is a factor that is stored with a row of positions for each index of the rank.
func (m *matching) rankFirst(i int, positions int64) factor {
	return factor{tensor: i, dtype: m.adapter.Tensors()[i].DType, position: 1, rank: positions}
}

func (m *matching) vector(i int) *vector { return &vector{i, m.adapter.Tensors()[i].DType} }

func has(slots map[string]int, names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { _, ok := slots[n]; return ok })
}
