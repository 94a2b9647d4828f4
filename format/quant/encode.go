package quant

import (
	"fmt"
	"strings"

	"weld/format"
)

// Encoding is how the values of a tensor are stored in an output: as codes and companions that have the names, types and
// shapes of those of a weight of the checkpoint which the output resembles.
type Encoding struct {
	Codes      format.Tensor
	Companions []format.Tensor

	view    *Decoded
	index   int // of the weight in the view
	encoder encoder
	beside  []int // the companions in the checkpoint
}

// encoder stores the values of one weight, a stripe at a time: some rows of one matrix, in which blocks lie whole.
type encoder interface {
	decoder
	// of is the shape, and the rows of a stripe; the last one of a matrix may be cut.
	of() (g blockGrid, rows int64)
	// scaled is the companion that encode makes.
	scaled() int
	// encode fills in the codes and the scales of a stripe, which begins at a row of a matrix. A block whose values are
	// those of the reference keeps its bytes.
	encode(from codeLender, s *stripe, slice, top int64) error
}

// stripe is the values of some rows, and what they become.
type stripe struct {
	values        []float32
	codes, scales []byte
	scalesAt      int64     // in the tensor of scales
	row           []float32 // memory for one row
}

// mostStripe is the most bytes of values of a stripe: whoever writes collects a few of them.
const mostStripe = 16 << 20

// Encoding is how the values of a tensor of the view are stored; false if they are plain, or in a manner that weld does not write.
func (v *Decoded) Encoding(i int) (*Encoding, bool) {
	e, ok := v.from[i].decoder.(encoder)
	if !ok {
		return nil, false
	}
	g, rows := e.of()
	if rows == 0 || min(rows, g.rows)*g.cols*width > mostStripe {
		return nil, false
	}
	stored := v.Checkpoint.Tensors()
	x := &Encoding{view: v, index: i, encoder: e, Codes: stored[v.from[i].index], beside: []int{e.scaled()}}
	for _, j := range v.from[i].hides {
		if j != e.scaled() {
			x.beside = append(x.beside, j)
		}
	}
	for _, j := range x.beside {
		x.Companions = append(x.Companions, stored[j])
	}
	return x, true
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
	g, rows := e.encoder.of()
	return min(rows, g.rows) * g.cols * (width + 2)
}
