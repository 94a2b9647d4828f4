package torch

import (
	"fmt"
	"slices"

	"weld/format"
	"weld/format/gather"
	"weld/format/pickle"
)

// Tensor is what a file says of a tensor: which elements of a storage it is.
type Tensor struct {
	Storage *Storage
	DType   format.DType
	Offset  int64 // of its first element in the storage, in elements
	Shape   []int64
	Strides []int64 // in elements
	odd     *oddity // nil for a plain dense tensor
}

// Kind implements [pickle.Made].
func (t *Tensor) Kind() string {
	if t.odd != nil {
		return t.odd.what
	}
	return "a tensor"
}

// oddity is why a tensor cannot be read as a plain dense one.
type oddity struct {
	what string
	kind format.Kind
}

// odd is a tensor that is held as a name alone.
func odd(kind format.Kind, text string, args ...any) *Tensor {
	return &Tensor{odd: &oddity{fmt.Sprintf(text, args...), kind}}
}

// Storage is a row of elements of one type, in an entry of its own.
type Storage struct {
	Key      string
	Elements int64
	Width    int64        // bytes of an element; 1 for a storage without a type
	DType    format.DType // Invalid for a storage without a type, or of one that format lacks
	Device   string
	class    pickle.Global
}

// Kind implements [pickle.Made].
func (s *Storage) Kind() string { return "a storage" }

// Array is an array of numpy. Its numbers are not read.
type Array struct{ Shape []int64 }

// Kind implements [pickle.Made].
func (a *Array) Kind() string { return fmt.Sprintf("a numpy array of shape %v", a.Shape) }

// SetState implements [pickle.Stateful]: (version, shape, dtype, Fortran order, bytes).
func (a *Array) SetState(state any) error {
	t, ok := state.(pickle.Tuple)
	if !ok || len(t) < 2 {
		return fmt.Errorf("%s", pickle.Kind(state))
	}
	shape, err := Sizes(t[1])
	a.Shape = shape
	return err
}

// format is what weld calls a tensor; ok is false if its size leaves 63 bits.
func (t *Tensor) format(name string) (format.Tensor, bool) {
	shape := t.Shape
	if t.DType == format.F4 { // torch counts pairs
		shape = slices.Clone(shape)
		shape[len(shape)-1] *= 2
	}
	_, ok := format.Size(t.DType, shape)
	return format.Tensor{Name: name, DType: t.DType, Shape: shape}, ok
}

// width is the bytes of what torch counts as an element.
func (t *Tensor) width() int64 { return t.DType.Align() }

// inRow reports whether the elements lie in one row.
func (t *Tensor) inRow() bool { return gather.InRow(t.Shape, t.Strides) }

// Sizes are the whole numbers of a tuple, a list, or a torch.Size.
func Sizes(v any) ([]int64, error) {
	items, ok := pickle.Sequence(v)
	if !ok {
		return nil, fmt.Errorf("%s in the place of a shape", pickle.Kind(v))
	}
	list := make([]int64, len(items))
	for i, item := range items {
		n, ok := item.(int64)
		if !ok || n < 0 {
			return nil, fmt.Errorf("%s in a shape", pickle.Kind(item))
		}
		list[i] = n
	}
	return list, nil
}
