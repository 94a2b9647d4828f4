package planes

import (
	"fmt"

	"weld/format"
)

// Coding says how a block is stored. The numbers are part of the format.
type Coding uint8

// The codings of a block.
const (
	Stored   Coding = 0 // as it is
	Constant Coding = 1 // one element, for all
	Deflated Coding = 2 // RFC 1951
	Split    Coding = 3 // planes
	Sparse   Coding = 4 // which elements are not zero, and those

	// Of a block with a base: bytes of as many elements of the same type.

	Unchanged  Coding = 16 // as the base
	Difference Coding = 17 // differences of the elements as integers
	Xor        Coding = 18 // the bits that differ
	Replaced   Coding = 19 // which elements differ, and those
)

var codingNames = map[Coding]string{
	Stored: "stored", Constant: "constant", Deflated: "deflated", Split: "split", Sparse: "sparse",
	Unchanged: "unchanged", Difference: "difference", Xor: "xor", Replaced: "replaced",
}

func (c Coding) String() string {
	if name, ok := codingNames[c]; ok {
		return name
	}
	return fmt.Sprintf("coding %d", uint8(c))
}

// Relative reports whether a block so coded needs a base.
func (c Coding) Relative() bool { return c >= Unchanged }

// MaxContent is the most bytes that a block holds.
const MaxContent = 4 << 20

// Slack is what a coded block takes beyond its content at most.
const Slack = 64

// shape is how elements are split.
type shape struct {
	width    int  // bytes of an element
	exponent bool // the exponent, 8 bits, is a plane of its own
}

func shapeOf(t format.DType) shape {
	switch t {
	case format.BF16:
		return shape{2, true}
	case format.F32, format.C64:
		return shape{4, true}
	case format.F16, format.I16, format.U16:
		return shape{2, false}
	case format.I32, format.U32:
		return shape{4, false}
	case format.F64, format.I64, format.U64:
		return shape{8, false}
	}
	return shape{1, false}
}
