package quant

import (
	"encoding/binary"
	"strings"

	"weld/format"
)

// HQQ: X.W_q has codes, packed as X.packing says, of a tensor of X.shape that is seen as a matrix with X.group_size columns (axis 1) or rows
// (axis 0); X.scale and X.zero are of its rows or columns. The plain model has X.weight. value = (code − zero) × scale. Source: HQQ 0.2.8
// (core/quantize.py, Quantizer.dequantize; core/bitpack.py).

// hqqPacking is how codes lie in items.
type hqqPacking struct{ bits, size, each int64 } // bytes of an item, codes in it

var hqqPackings = map[string]hqqPacking{
	"8bit_u8": {8, 1, 1}, "4bit_u8": {4, 1, 2}, "2bit_u8": {2, 1, 4}, "1bit_u8": {1, 1, 8}, "3bit_32": {3, 4, 10},
}

// hqqBeside are the terms that lie beside a weight as tensors.
var hqqBeside = []string{
	"packing", "shape", "group_size", "axis", "nbits", "view_as_float", "unpack_view_dtype", "compute_dtype", "quant_scale", "quant_zero",
	"offload_meta", "encoded_state_dict", "stores_quant_config", "channel_wise", "optimize", "round_zero",
}

// findHQQ finds weights of HQQ.
func findHQQ(s *search) error {
	for i, t := range s.Tensors() {
		head, ok := strings.CutSuffix(t.Name, ".W_q")
		if !ok || s.taken[i] {
			continue
		}
		if err := s.hqq(i, head); err != nil {
			return err
		}
	}
	return nil
}

// hqq finds the terms of a weight.
func (s *search) hqq(i int, head string) error {
	terms, hides, err := s.hqqTerms(i, head)
	if err != nil {
		return err
	}
	t := s.Tensors()[i]
	p, known := hqqPackings[string(terms["packing"])]
	shape, group, axis := numbers(terms["shape"]), one(terms["group_size"]), one(terms["axis"])
	n, sized := format.Elements(shape)
	switch {
	case !known:
		return s.refuse(i, "HQQ packed as %q", terms["packing"])
	case len(shape) != 2 || !sized || n < 1 || group < 1 || n%group != 0 || axis != 0 && axis != 1:
		return s.refuse(i, "HQQ of shape %v in groups of %d along axis %d", shape, group, axis)
	case one(terms["quant_scale"]) != 0 || one(terms["quant_zero"]) != 0:
		return s.refuse(i, "HQQ with scales or zero points that are quantised, too")
	}
	d := &stretchDecoder{codes: i, size: p.size, bits: p.bits, topDown: true, width: group, columns: axis == 0, restored: hqqRestored}
	rows := n / group
	if d.columns {
		rows, d.width = group, n/group
	}
	if d.stretch = (rows + p.each - 1) / p.each * d.width; t.Bytes() != d.stretch*p.size {
		return s.refuse(i, "HQQ: %d bytes of codes for a shape of %v, %s", t.Bytes(), shape, terms["packing"])
	}
	var plain format.DType
	for name, c := range map[string]*companion{"scale": &d.scale, "zero": &d.zero} {
		j, x, ok := s.tensor(head + "." + name)
		if !ok || !isScale(x.DType) || x.Elements() != n/group {
			return s.refuse(i, "HQQ: %q has to be beside it, with %d elements", name, n/group)
		}
		*c, hides = companion{j, x.DType}, append(hides, j)
		if name == "scale" {
			plain = x.DType
		}
	}
	s.add(weight{scheme: "hqq", name: head + ".weight", shape: shape, plain: plain, codes: i, hides: hides, decoder: d})
	return nil
}

// hqqRestored rounds twice, as HQQ does.
func hqqRestored(code, scale, zero float32) float32 { return float32(code-zero) * scale }

// hqqTerms reads what lies beside codes. Without all that their layout depends on, the files do not say it.
func (s *search) hqqTerms(i int, head string) (terms map[string][]byte, hides []int, err error) {
	terms = make(map[string][]byte)
	for k, name := range hqqBeside {
		j, t, ok := s.tensor(head + "." + name)
		switch {
		case !ok && k < 4:
			return nil, nil, s.refuse(i, "HQQ without %q, which says how it is packed", name)
		case !ok:
			continue
		case t.Bytes() > 256:
			return nil, nil, s.refuse(j, "a term of HQQ of shape %v", t.Shape)
		}
		hides = append(hides, j)
		if err := (codeLender{Checkpoint: s.Checkpoint}).with(j, 0, t.Bytes(), func(data []byte) error {
			if name != "packing" {
				data = widened(t.DType, data)
			}
			terms[name] = append([]byte(nil), data...)
			return nil
		}); err != nil {
			return nil, nil, err
		}
	}
	return terms, hides, nil
}

// widened are integers of some type as such of 64 bits; nil for what is none.
func widened(d format.DType, data []byte) (wide []byte) {
	for len(data) > 0 {
		var v int64
		switch d {
		case format.U8:
			v, data = int64(data[0]), data[1:]
		case format.I32:
			v, data = int64(int32(binary.LittleEndian.Uint32(data))), data[4:]
		case format.I64:
			v, data = int64(binary.LittleEndian.Uint64(data)), data[8:]
		default:
			return nil
		}
		wide = binary.LittleEndian.AppendUint64(wide, uint64(v))
	}
	return wide
}

// numbers are integers of 64 bits.
func numbers(wide []byte) (list []int64) {
	for ; len(wide) > 0; wide = wide[8:] {
		list = append(list, int64(binary.LittleEndian.Uint64(wide)))
	}
	return list
}

// one is a single number, −1 if it is not, and 0 if there is none.
func one(wide []byte) int64 {
	switch list := numbers(wide); len(list) {
	case 0:
		return 0
	case 1:
		return list[0]
	}
	return -1
}
