package quant

import (
	"slices"
	"strings"

	"weld/format"
)

// GPTQ: X.qweight [in·bits/32, out] has the codes of consecutive inputs in words, X.qzeros [groups, out·bits/32] zero points, X.scales
// [groups, out], X.g_idx [in] the group of each input. Files of the first format have zero points less one. The plain model has X.weight
// as [out, in]. value = (code − zero point) × scale. Sources: AutoGPTQ 0.7.1, GPTQModel 7.7 (BaseQuantLinear.dequantize_weight).

// findGPTQ finds weights of GPTQ, where it is declared.
func findGPTQ(s *search) error {
	var method, layout string
	if !s.declared("quant_method", &method) || method != "gptq" {
		return nil
	}
	if !s.declared("checkpoint_format", &layout) {
		s.declared("format", &layout)
	}
	for i, t := range s.Tensors() {
		head, ok := strings.CutSuffix(t.Name, ".qweight")
		if !ok || s.taken[i] {
			continue
		}
		if layout != "" && layout != "gptq" && layout != "gptq_v2" {
			return s.refuse(i, "GPTQ in the format %q", layout)
		}
		if s.turnsLayers(head + ".weight") {
			return s.refuse(i, "GPTQ stores a layer of the kind Conv1D as its transpose, which the plain model is not")
		}
		p, err := s.packedWeight(i, head, "GPTQ")
		if err != nil {
			return err
		}
		l := p.lines
		l.minusOne = layout != "gptq_v2"
		in, err := s.gptqInputs(i, head, l)
		if err != nil {
			return err
		}
		if l.groupOf >= 0 {
			p.hides = append(p.hides, l.groupOf)
		}
		g := blockGrid{1, l.rows, in}
		s.add(weight{
			scheme: "gptq", name: head + ".weight", shape: []int64{g.rows, g.cols}, plain: p.plain, codes: i, hides: p.hides,
			decoder: &turned{blockGrid: g, codes: i, step: 32 * l.words() / l.bits, stride: l.words() * l.rows * 4, lines: l},
		})
	}
	return nil
}

// gptqInputs finds out how many inputs a weight has and which groups they are of.
func (s *search) gptqInputs(i int, head string, l *groupedLines) (in int64, err error) {
	t := s.Tensors()[i]
	words := t.Shape[0]
	switch {
	case !slices.Contains([]int64{2, 3, 4, 8}, l.bits):
		return 0, s.refuse(i, "GPTQ of %d bits", l.bits)
	case t.Shape[1] != l.rows:
		return 0, s.refuse(i, "GPTQ of shape %v with scales of %d outputs", t.Shape, l.rows)
	case words%l.words() != 0:
		return 0, s.refuse(i, "GPTQ of shape %v, where codes of %d bits end within a word", t.Shape, l.bits)
	}
	in = words * 32 / l.bits
	var size int64
	said := s.declared("group_size", &size) && size > 0
	if j, groups, ok := s.tensor(head + ".g_idx"); ok {
		if groups.DType != format.I32 || !slices.Equal(groups.Shape, []int64{in}) {
			return 0, s.refuse(i, "GPTQ of %d inputs with groups of shape %v, %v", in, groups.Shape, groups.DType)
		}
		l.groupOf = j
		return in, nil
	}
	l.groupOf, l.group = -1, in
	if said {
		l.group = min(size, in)
	}
	var order bool
	if s.declared("desc_act", &order); order {
		return 0, s.refuse(i, "GPTQ by order of activation without g_idx, which says the groups")
	}
	if (in+l.group-1)/l.group != l.groups {
		return 0, s.refuse(i, "GPTQ of %d inputs in %d groups, whose size is %d by the configuration", in, l.groups, l.group)
	}
	return in, nil
}

// packedWeight is a weight of GPTQ or AWQ.
type packedWeight struct {
	lines *groupedLines
	hides []int
	plain format.DType
}

// packedWeight finds what lies beside codes, and how many bits a code has.
func (s *search) packedWeight(i int, head, scheme string) (p packedWeight, err error) {
	t := s.Tensors()[i]
	j, zeros, ok := s.tensor(head + ".qzeros")
	if !ok {
		return p, s.refuse(i, "%s without zero points", scheme)
	}
	k, scales, ok := s.tensor(head + ".scales")
	if !ok {
		return p, s.refuse(i, "%s without scales", scheme)
	}
	bad := func(t format.Tensor) bool { return len(t.Shape) != 2 || t.Shape[0] < 1 || t.Shape[1] < 1 }
	switch {
	case t.DType != format.I32 || zeros.DType != format.I32:
		return p, s.refuse(i, "%s in words of %v and %v", scheme, t.DType, zeros.DType)
	case !isScale(scales.DType):
		return p, s.refuse(i, "%s with scales of %v", scheme, scales.DType)
	case bad(t) || bad(zeros) || bad(scales) || zeros.Shape[0] != scales.Shape[0] || zeros.Shape[1]*32%scales.Shape[1] != 0:
		return p, s.refuse(i, "%s of shape %v with zero points of shape %v and scales of shape %v", scheme, t.Shape, zeros.Shape, scales.Shape)
	case scales.Shape[0] > pieceElements/2:
		return p, s.refuse(i, "%s in %d groups", scheme, scales.Shape[0])
	}
	p.lines = &groupedLines{
		bits: zeros.Shape[1] * 32 / scales.Shape[1], rows: scales.Shape[1], groups: scales.Shape[0],
		zeros: j, scales: k, scaleType: scales.DType, groupOf: -1,
	}
	var bits int64
	if s.declared("bits", &bits) && bits != p.lines.bits && !s.mixed() {
		return p, s.refuse(i, "%s of %d bits, by the shapes, where the configuration says %d", scheme, p.lines.bits, bits)
	}
	p.hides, p.plain = []int{j, k}, scales.DType
	if p.plain == format.F8E8M0 {
		p.plain = format.BF16
	}
	return p, nil
}

// mixed reports whether modules have terms of their own.
func (s *search) mixed() bool {
	for _, config := range s.configs {
		if v, ok := config["dynamic"]; ok && string(v) != "null" {
			return true
		}
	}
	return false
}
