package quant

import "strings"

// AWQ as its gemm kernels have it: X.qweight [in, out/8] has the codes of eight outputs in a word, in an order of its own, X.qzeros
// [groups, out/8] zero points in the same, X.scales [groups, out]. A group is of consecutive inputs. The plain model has X.weight as
// [out, in]. value = (code − zero point) × scale. Sources: AutoAWQ 0.2 (packing_utils.py), GPTQModel 7.7 (dequantize_gemm).

// findAWQ finds weights of AWQ, where it is declared.
func findAWQ(s *search) error {
	var method, version string
	if !s.declared("quant_method", &method) || method != "awq" {
		return nil
	}
	for _, key := range []string{"version", "checkpoint_format", "format"} {
		if s.declared(key, &version) {
			break
		}
	}
	for i, t := range s.Tensors() {
		head, ok := strings.CutSuffix(t.Name, ".qweight")
		if !ok || s.taken[i] {
			continue
		}
		if version = strings.ToLower(version); version != "" && version != "gemm" {
			return s.refuse(i, "AWQ in the version %q", version)
		}
		p, err := s.packedWeight(i, head, "AWQ")
		if err != nil {
			return err
		}
		l := p.lines
		l.pack = packRows
		g := blockGrid{1, l.rows, t.Shape[0]}
		if l.group, err = s.awqGroup(i, l); err != nil {
			return err
		}
		s.add(weight{
			scheme: "awq", name: head + ".weight", shape: []int64{g.rows, g.cols}, plain: p.plain, codes: i, hides: p.hides,
			decoder: &turned{blockGrid: g, codes: i, step: 1, stride: t.Shape[1] * 4, lines: l},
		})
	}
	return nil
}

// awqGroup is how many inputs a group of a weight has.
func (s *search) awqGroup(i int, l *groupedLines) (group int64, err error) {
	t := s.Tensors()[i]
	in := t.Shape[0]
	if l.bits != 4 || l.rows%8 != 0 || t.Shape[1]*8 != l.rows {
		return 0, s.refuse(i, "AWQ of shape %v with codes of %d bits and scales of %d outputs", t.Shape, l.bits, l.rows)
	}
	said := s.declared("group_size", &group) || s.declared("q_group_size", &group)
	if !said {
		return 0, s.refuse(i, "AWQ, of which nothing says how many inputs have one scale")
	}
	if group <= 0 {
		group = in
	}
	if group = min(group, in); (in+group-1)/group != l.groups {
		return 0, s.refuse(i, "AWQ of %d inputs in %d groups, whose size is %d by the configuration", in, l.groups, group)
	}
	return group, nil
}
