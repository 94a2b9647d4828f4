package quant

import (
	"fmt"
	"slices"
	"strings"

	"weld/format"
)

// Encoding is how the values of a tensor are stored in an output: as codes and companions, each with its name, type and shape. It may belong
// to a weight of a reference, whose unchanged blocks keep their bytes.
type Encoding struct {
	Codes      format.Tensor
	Companions []format.Tensor // scales, zero points where there are some, the scale of scales; what others have is not made of values

	coding
	reference *reference // nil for none
	given     [][]byte   // what companions have that is neither made of values nor the reference's
}

// mostStripe is the most bytes of values of a stripe: whoever writes collects a few of them.
const mostStripe = 16 << 20

// unwritten are schemes whose codes lie as those of others do, but whose files say more of them than weld writes.
var unwritten = []string{"quanto", "torchao"}

// Encoding is how the values of a tensor of the view are stored; false if they are plain, or in a manner that weld does not write.
func (v *Decoded) Encoding(i int) (*Encoding, bool) {
	if b, ok := v.from[i].decoder.(*blocks); ok {
		return v.inBlocks(i, b)
	}
	d, ok := v.from[i].decoder.(codable)
	if !ok || slices.Contains(unwritten, v.from[i].scheme) {
		return nil, false
	}
	c, of, ok := d.coding()
	if !ok || !c.encodable() {
		return nil, false
	}
	stored, from := v.Checkpoint.Tensors(), &v.from[i]
	e := &Encoding{Codes: stored[from.index], coding: c, reference: &reference{view: v, weight: from, parts: of}}
	for _, j := range of.made() {
		e.Companions = append(e.Companions, stored[j])
	}
	for _, j := range from.hides {
		if !slices.Contains(of.made(), j) {
			e.reference.beside = append(e.reference.beside, j)
			e.Companions = append(e.Companions, stored[j])
		}
	}
	return e, true
}

// codable are decoders of what can be written, too.
type codable interface {
	// coding is how values become the codes that are decoded, and what belongs to these; false if weld does not write them.
	coding() (c coding, of parts, ok bool)
}

// parts are tensors of a checkpoint that belong to codes; −1 for one that does not exist.
type parts struct {
	scales, zeros, global int // are made of values
	groups                int // says which group each column belongs to
}

// made are those that are made of values, in the order of companions.
func (p parts) made() (list []int) {
	for _, i := range []int{p.scales, p.zeros, p.global} {
		if i >= 0 {
			list = append(list, i)
		}
	}
	return list
}

// Keep has blocks whose values are those of a weight that is stored in the same way keep its bytes. It reports whether it is.
func (e *Encoding) Keep(of *Encoding) bool {
	if of.reference == nil || !e.Like(of) || e.scaleType != of.scaleType {
		return false
	}
	scales, others := &e.Companions[0], &of.Companions[0]
	if scales.DType != others.DType || scales.Elements() != others.Elements() {
		return false
	}
	e.reference = &reference{view: of.reference.view, weight: of.reference.weight, parts: of.reference.parts}
	return true
}

// Like reports whether two encodings of weights of one shape are of one scheme: codes and scales have the same names and codes, and blocks are of one size. Scales may
// be floats of different types.
func (e *Encoding) Like(x *Encoding) bool {
	if x.coding.inBlocks != nil { // without companions
		return false
	}
	ending := func(t format.Tensor) string { return t.Name[strings.LastIndexByte(t.Name, '.')+1:] }
	alike := func(t, u format.Tensor) bool { return ending(t) == ending(u) }
	of, block := e.blocks()
	others, another := x.blocks()
	unordered := x.reference == nil || x.reference.parts.groups < 0
	levels := (e.level == nil) == (x.level == nil) && (e.level == nil || *e.level == *x.level)
	return alike(e.Codes, x.Codes) && e.Codes.DType == x.Codes.DType && slices.Equal(e.Codes.Shape, x.Codes.Shape) && sameCodes(e.codes, x.codes) &&
		alike(e.Companions[0], x.Companions[0]) && (e.scaleType == format.F8E8M0) == (x.scaleType == format.F8E8M0) && of == others && block == another &&
		levels && e.zeros == nil && x.zeros == nil && x.turned == nil && unordered
}

// Layout describes how the weight is stored but for its size: types, names behind the module's, and what a scale is of. Of two
// weights under one configuration it is the same.
func (e *Encoding) Layout() string {
	module := strings.LastIndexByte(e.Codes.Name, '.') + 1
	text := fmt.Sprint(e.Codes.Name[module:], " ", e.Codes.DType)
	for _, c := range e.Companions {
		name := c.Name
		if len(name) > module {
			name = name[module:]
		}
		text += fmt.Sprint(", ", name, " ", c.DType)
		for k, n := range c.Shape {
			switch {
			case n == 1:
				text += " whole"
			case len(c.Shape) == len(e.Codes.Shape) && n == e.Codes.Shape[k]:
				text += " each"
			default:
				text += " blocks"
			}
		}
	}
	return text
}

// Made is how many companions are written with the codes: what is made of values, and behind it what is given.
func (e *Encoding) Made() int { return e.valued() + len(e.given) }

// valued is how many companions are made of values.
func (e *Encoding) valued() int {
	if e.coding.inBlocks != nil {
		return 0
	}
	n := 1
	if e.zeros != nil {
		n++
	}
	if e.level != nil {
		n++
	}
	return n
}

// Source is where a companion that is not written with the codes is copied from: a tensor of the checkpoint behind the view.
func (e *Encoding) Source(companion int) (from format.Checkpoint, index int) {
	return e.reference.view.Checkpoint, e.reference.beside[companion-e.Made()]
}

// Measures reports whether all values have to be seen before the first is written.
func (e *Encoding) Measures() bool { return e.measures() }

// StripeBytes is the memory that a stripe takes: its values and what they become; and what was measured before it.
func (e *Encoding) StripeBytes() int64 {
	n := min(e.stripeRows(), e.rows) * e.cols * (width + 2)
	if e.turned != nil {
		n += min(e.stripeRows(), e.rows)*e.cols*width + e.cols*(e.turned.stride+e.turned.groups)
	}
	if g, _ := e.rangeGrid(); e.measures() {
		n += g.slices * g.rows * g.cols * rangeBytes
	}
	if e.reference != nil && e.block.rows <= 1 {
		n += min(e.stripeRows(), e.rows) * e.cols * width
	}
	if e.reference != nil && e.reference.parts.groups >= 0 {
		n += e.cols * width
	}
	return n
}
