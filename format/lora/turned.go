package lora

import (
	"slices"
	"strings"

	"weld/format"
)

// Most linear layers hold their matrix as [out, in]; transformers' Conv1D, of GPT-2 and its kin, holds [in, out].
// PEFT asks the layer's class, whatever fan_in_fan_out says, and loads no adapter of the other shape. A
// checkpoint has no classes, but a Conv1D always has a bias, with an element for each output.

// turned reports whether a matrix of the base is [in, out], or notes that nothing says so.
func (m *matching) turned(s *moduleSite, target int) (turned, ok bool) {
	t := m.base.Tensors()[target]
	bias, _, found := m.bias(s)
	switch {
	case !found || len(t.Shape) != 2:
		return false, true
	case t.Shape[0] == t.Shape[1]:
		return m.squareTurned(s)
	}
	return slices.Equal(m.base.Tensors()[bias].Shape, t.Shape[1:]), true
}

// squareTurned decides for a square matrix: it lies as the others of its stack of layers, or as the configuration says if there
// are none.
func (m *matching) squareTurned(s *moduleSite) (turned, ok bool) {
	if m.ways == nil {
		m.ways = m.waysOfBase()
	}
	switch w := m.ways[stackOf(s.module)]; {
	case w.straight && w.across:
		m.fault(s.first, format.KindUnsupported, "the base's matrix is square, and the other layers of its stack lie both ways ([out, in] and [in, out]): which way this one does cannot be told")
		return false, false
	case w.straight || w.across:
		return w.across, true
	}
	return m.config.fanInFanOut, true
}

// ways are how the layers of a stack lie.
type ways struct{ straight, across bool }

// waysOfBase looks at every layer whose matrix is not square and that has a bias.
func (m *matching) waysOfBase() map[string]ways {
	all := make(map[string]ways)
	for _, t := range m.base.Tensors() {
		module, ok := strings.CutSuffix(t.Name, ".weight")
		if !ok || len(t.Shape) != 2 || t.Shape[0] == t.Shape[1] {
			continue
		}
		bias, ok := m.base.Find(module + ".bias")
		if !ok {
			continue
		}
		shape, stack := m.base.Tensors()[bias].Shape, stackOf(module)
		w := all[stack]
		w.straight = w.straight || slices.Equal(shape, t.Shape[:1])
		w.across = w.across || slices.Equal(shape, t.Shape[1:])
		all[stack] = w
	}
	return all
}

// stackOf names the stack of numbered layers that a module lies in; "" is outside of all.
func stackOf(module string) string {
	parts := strings.Split(module, ".")
	for i, part := range parts {
		if part != "" && strings.Trim(part, "0123456789") == "" && i > 0 {
			return parts[i-1]
		}
	}
	return ""
}
