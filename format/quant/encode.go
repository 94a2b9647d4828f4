package quant

import (
	"fmt"
	"strings"

	"weld/format"
)

// Encoding is how the values of a tensor are stored in an output: as codes and companions, each with its name, type and shape. It may belong
// to a weight of a reference, whose unchanged blocks keep their bytes.
type Encoding struct {
	Codes      format.Tensor
	Companions []format.Tensor // the first has the scales; what the others have is not made of values

	coding
	reference *reference // nil for none
}

// mostStripe is the most bytes of values of a stripe: whoever writes collects a few of them.
const mostStripe = 16 << 20

// Encoding is how the values of a tensor of the view are stored; false if they are plain, or in a manner that weld does not write.
func (v *Decoded) Encoding(i int) (*Encoding, bool) {
	d, ok := v.from[i].decoder.(codable)
	if !ok {
		return nil, false
	}
	c, scales, ok := d.coding()
	if !ok || !c.fits() {
		return nil, false
	}
	stored, from := v.Checkpoint.Tensors(), &v.from[i]
	e := &Encoding{Codes: stored[from.index], coding: c, reference: &reference{view: v, weight: from, scales: scales}}
	e.Companions = append(e.Companions, stored[scales])
	for _, j := range from.hides {
		if j != scales {
			e.reference.beside = append(e.reference.beside, j)
			e.Companions = append(e.Companions, stored[j])
		}
	}
	return e, true
}

// codable are decoders of what can be written, too.
type codable interface {
	// coding is how values become the codes that are decoded, and the tensor that their scales are; false if weld does not write them.
	coding() (c coding, scales int, ok bool)
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

// StripeBytes is the memory that a stripe takes: its values and what they become.
func (e *Encoding) StripeBytes() int64 {
	return min(e.stripeRows(), e.rows) * e.cols * (width + 2)
}
