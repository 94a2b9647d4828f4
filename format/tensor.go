package format

import (
	"math"
	"slices"
)

// MaxRank is the most dimensions that a reader lets a tensor have, as many as numpy and torch do.
const MaxRank = 64

// Tensor describes one tensor of a checkpoint: everything but its bytes.
type Tensor struct {
	Name  string
	DType DType
	// Stored is the type that the model has the tensor in, where DType is another because a checkpoint computes
	// it and leaves the rounding to its reader; else Invalid.
	Stored DType
	// Calibrated is for what was found by running data through a model, and is none of its weights: it is taken from one model as it is, or left out.
	Calibrated bool
	Shape      []int64 // C order; rank 0 is a scalar
}

// Equal reports whether two tensors are described alike.
func (t Tensor) Equal(o Tensor) bool {
	return t.Name == o.Name && t.DType == o.DType && t.Stored == o.Stored && t.Calibrated == o.Calibrated && slices.Equal(t.Shape, o.Shape)
}

// StoredDType is the type that the model has the tensor in.
func (t Tensor) StoredDType() DType {
	if t.Stored != Invalid {
		return t.Stored
	}
	return t.DType
}

// Computable reports whether weld computes with the tensor.
func (t Tensor) Computable() bool { return t.DType.Computable() && !t.Calibrated }

// Elements is the product of the shape, 1 at rank 0.
func (t Tensor) Elements() int64 {
	n, _ := Elements(t.Shape)
	return n
}

// Bytes is the size of the tensor's data.
func (t Tensor) Bytes() int64 {
	n, _ := Size(t.DType, t.Shape)
	return n
}

// RowLen is the number of elements of one row: one index of the first
// dimension. The rows of a vector, and a scalar, are single elements.
func (t Tensor) RowLen() int64 {
	if len(t.Shape) < 2 {
		return 1
	}
	n, _ := Elements(t.Shape[1:])
	return n
}

// Elements multiplies a shape; ok is false where the product leaves 63 bits or a
// dimension is negative.
func Elements(shape []int64) (n int64, ok bool) {
	n = 1
	for _, d := range shape {
		if d < 0 || (d > 0 && n > math.MaxInt64/d) {
			return 0, false
		}
		n *= d
	}
	return n, true
}

// Size is the number of bytes that a tensor takes; ok is false where it leaves 63
// bits or does not end on a byte.
func Size(d DType, shape []int64) (bytes int64, ok bool) {
	n, ok := Elements(shape)
	bits := int64(d.Bits())
	if !ok || bits == 0 || n > math.MaxInt64/bits || n*bits%8 != 0 {
		return 0, false
	}
	return n * bits / 8, true
}
