package lora

import (
	"strconv"
	"strings"

	"weld/format/names"
)

// What transformers 5 has in memory as one tensor of all experts, most checkpoints store as matrices of each: an adapter
// of the one changes the others, each by its part of the product. Experts in one tensor are [out, in] then.

// piece is a matrix of an expert, which has rows [top, …) of the expert's in the tensor of all.
type piece struct {
	target      int
	expert, top int64
}

// storedApart finds a tensor of all experts in its pieces; its target is that of the first.
func (m *matching) storedApart(module, param string) (p parameter, ok bool) {
	if !ends(module, "experts") || strings.Contains(param, "bias") {
		return p, false
	}
	p.name = module + "." + param
	var cols, total int64
	for expert := int64(0); ; expert++ {
		list, rows, width := m.expert(module, param, expert)
		switch {
		case list == nil && expert == 0, list != nil && expert > 0 && (rows != total || width != cols):
			return p, false
		case list == nil:
			p.target, p.shape = p.pieces[0].target, []int64{expert, total, cols}
			return p, true
		}
		total, cols = rows, width
		p.pieces = append(p.pieces, list...)
	}
}

// expert finds the matrices of one expert, and what they are one after the other.
func (m *matching) expert(module, param string, expert int64) (list []piece, rows, cols int64) {
	for _, part := range names.StackedIn(param) {
		target, ok := m.look(module + "." + strconv.FormatInt(expert, 10) + "." + part + ".weight")
		if !ok {
			return nil, 0, 0
		}
		shape := m.base.Tensors()[target].Shape
		if len(shape) != 2 || len(list) > 0 && shape[1] != cols {
			return nil, 0, 0
		}
		list = append(list, piece{target, expert, rows})
		rows, cols = rows+shape[0], shape[1]
	}
	return list, rows, cols
}

// changeApart makes the steps of all pieces.
func (m *matching) changeApart(k *stack, a, b int) {
	whole := k.product(m, a, b)
	for _, piece := range k.pieces {
		part := *whole
		part.size = grid{1, m.base.Tensors()[piece.target].Shape[0], k.in}
		part.left.firstSlice, part.left.top, part.right.firstSlice = piece.expert, piece.top, piece.expert
		m.change(piece.target, a, part.size, &addition{matrix: &part, scale: m.config.scale(k.name)})
	}
}
