package lora

import (
	"fmt"
	"strings"

	"weld/format"
)

// Adapters of bare parameters (target_parameters): a stack of E experts W [E, out, in], or [E, in, out] where its
// class keeps them so, with A [E·r, in] and B [out, E·r]. Experts are the slow axis of A and the fast one
// of B: W'ₑ = W ₑ + s·Σₖ B[·, k·E + e]·A[e·r + k, ·]. A parameter of two dimensions is a linear layer.
//
// Wrappers of several parameters of one module lie inside of each other, and a name in the file says how
// deep, but not of which parameter. Their shapes show it.

// parameter is a tensor of the base that target_parameters names.
type parameter struct {
	name   string // as the adapter would call it
	target int
	shape  []int64
	pieces []piece // instead of a target, where the base stores experts one by one
}

// parameters lists those of a site's module.
func (m *matching) parameters(s *moduleSite) (list []parameter) {
	seen := make(map[int]bool)
	for _, key := range m.config.parameters {
		_, param, _ := cutLast(key)
		name := s.module + "." + param
		if name != key && !strings.HasSuffix(name, "."+key) {
			continue
		}
		p, ok := m.stored(s.module, param)
		if ok && !seen[p.target] {
			seen[p.target] = true
			list = append(list, p)
		}
	}
	return list
}

// stored finds a parameter of a module in the base.
func (m *matching) stored(module, param string) (parameter, bool) {
	name := module + "." + param
	if target, ok := m.look(name); ok {
		return parameter{name: name, target: target, shape: m.base.Tensors()[target].Shape}, true
	}
	return m.storedApart(module, param)
}

// absent reports whether a site is one of parameters that the base does not have, and says so.
func (m *matching) absent(s *moduleSite) bool {
	for _, key := range m.config.parameters {
		module, param, _ := cutLast(key)
		if !ends(s.module, module) {
			continue
		}
		if _, ok := m.look(s.module + ".weight"); ok {
			return false // a linear layer that is a target as well
		}
		m.fault(s.first, format.KindKey, "%s has no tensor %q (target_parameters); a base whose experts are stored in another way has to be saved as its model has them in memory (transformers 5: save_pretrained with save_original_format=False)",
			m.base.Path(), clip(s.module+"."+param))
		return true
	}
	return false
}

// cutLast cuts a name before its last part.
func cutLast(name string) (before, last string, ok bool) {
	i := strings.LastIndexByte(name, '.')
	if i < 0 {
		return "", name, false
	}
	return name[:i], name[i+1:], true
}

// experts finds the parameter of a site and makes its step.
func (m *matching) experts(s *moduleSite, params []parameter) {
	if !m.only(s, []string{"lora_A", "lora_B"}, nil) {
		return
	}
	var fitting []*stack
	for _, p := range params {
		if k, ok := m.stack(s, p); ok {
			fitting = append(fitting, k)
		}
	}
	a, b := s.slots["lora_A"], s.slots["lora_B"]
	switch {
	case len(fitting) == 0:
		m.fault(a, format.KindShape, "factors A %v and B %v, which fit none of the base's %s", m.shape(a), m.shape(b), m.listed(params))
		return
	case len(fitting) > 1:
		m.fault(a, format.KindUnsupported, "factors A %v and B %v fit more than one of the base's %s, and their names do not say whose they are", m.shape(a), m.shape(b), m.listed(params))
		return
	}
	k := fitting[0]
	if k.square && !m.settle(k) {
		m.fault(a, format.KindUnsupported, "the base's %q has %v, and nothing tells whether its experts are [out, in] or [in, out]", clip(k.name), k.shape)
		return
	}
	if k.pieces != nil {
		m.changeApart(k, a, b)
		return
	}
	m.change(k.target, a, k.size, &addition{matrix: k.product(m, a, b), scale: m.config.scale(k.name)})
}

// listed names parameters with their shapes.
func (m *matching) listed(params []parameter) string {
	var words []string
	for _, p := range params {
		words = append(words, clip(p.name)+" "+fmt.Sprint(p.shape))
	}
	return strings.Join(words, " and ")
}

// stack is a parameter whose shape fits a site's factors.
type stack struct {
	parameter
	size    grid
	rank    int64
	out, in int64
	turned  bool // experts are [in, out]
	square  bool // which cannot be known
}

// stack fits a site's factors to a parameter.
func (m *matching) stack(s *moduleSite, p parameter) (*stack, bool) {
	a, b, shape := m.shape(s.slots["lora_A"]), m.shape(s.slots["lora_B"]), p.shape
	if len(shape) == 2 {
		shape = append([]int64{1}, shape...)
	}
	if len(shape) != 3 || len(a) != 2 || len(b) != 2 || shape[0] == 0 || a[0] != b[1] {
		return nil, false
	}
	k := &stack{parameter: p, size: grid{shape[0], shape[1], shape[2]}, rank: m.config.rankOf(p.name), out: b[0], in: a[1]}
	straight, across := shape[1] == k.out && shape[2] == k.in, shape[1] == k.in && shape[2] == k.out
	k.turned, k.square = across && !straight, across && straight && k.out > 1
	if len(p.shape) == 2 || p.pieces != nil {
		k.turned, k.square = false, false
		across = false
	}
	return k, a[0] == shape[0]*k.rank && (straight || across)
}

// settle decides how square experts lie: as the others of the same base do, which are all of one class.
func (m *matching) settle(k *stack) bool {
	found := false
	for _, s := range m.ordered() {
		for _, p := range m.parameters(s) {
			if !has(s.slots, "lora_A") || !has(s.slots, "lora_B") {
				continue
			}
			other, ok := m.stack(s, p)
			if !ok || other.square || p.pieces != nil || len(p.shape) != 3 {
				continue
			}
			if found && other.turned != k.turned {
				return false
			}
			found, k.turned = true, other.turned
		}
	}
	return found
}

// product is the sum of a stack, a slice for each expert.
func (k *stack) product(m *matching, a, b int) *product {
	inner := m.rankFirst(a, k.in)
	inner.slice = k.rank * k.in
	outer := m.positionsFirst(b, k.rank*k.size.slices)
	outer.slice, outer.rank = 1, k.size.slices
	p := &product{size: k.size, rank: k.rank, left: outer, right: inner}
	if k.turned {
		p.left, p.right = inner, outer
	}
	return p
}
