package gather

import (
	"errors"
	"fmt"
	"math"

	"weld/format"
)

// Layout is where the elements of a tensor are.
type Layout struct {
	Shape  []int64
	Width  int64 // bytes of an element
	Pieces []Piece
}

// Piece is a box of a tensor, and where its elements lie.
type Piece struct {
	Source  int     // which of the files
	Begin   int64   // byte of the box's first element in it
	Offset  []int64 // of the box in the tensor
	Shape   []int64 // of the box
	Strides []int64 // from an element to the next one along each dimension, in elements; none is negative
}

// Rows are the strides of elements that lie in one row, in C order.
func Rows(shape []int64) []int64 {
	strides := make([]int64, len(shape))
	step := int64(1)
	for d := len(shape) - 1; d >= 0; d-- {
		strides[d] = step
		step *= shape[d]
	}
	return strides
}

// InRow reports whether elements of a shape that is not empty lie in one row, in C order.
func InRow(shape, strides []int64) bool {
	step := int64(1)
	for d := len(shape) - 1; d >= 0; d-- {
		if shape[d] != 1 && strides[d] != step {
			return false
		}
		step *= shape[d]
	}
	return true
}

// Extent is the number of elements from the first to the last one of a box, both counted; ok is false where it leaves 63 bits or a
// size or stride is negative. It is 0 for a box without elements.
func Extent(shape, strides []int64) (n int64, ok bool) {
	if elements, ok := format.Elements(shape); !ok || elements == 0 {
		return 0, ok
	}
	n = 1
	for d, size := range shape {
		step := strides[d]
		if step < 0 || size > 1 && step > (math.MaxInt64-n)/(size-1) {
			return 0, false
		}
		n += (size - 1) * step
	}
	return n, true
}

// Check demands that the pieces fill the tensor: each lies inside of it, no two overlap, and none of its elements is left over.
func (l *Layout) Check() error {
	left, ok := format.Elements(l.Shape)
	if _, fits := format.Size(format.U8, l.Shape); !ok || !fits || l.Width <= 0 || left > math.MaxInt64/l.Width {
		return errors.New("its size leaves 63 bits")
	}
	for i := range l.Pieces {
		p := &l.Pieces[i]
		if len(p.Shape) != len(l.Shape) || len(p.Offset) != len(l.Shape) || len(p.Strides) != len(l.Shape) {
			return fmt.Errorf("piece %d has another number of dimensions", i)
		}
		for d, size := range p.Shape {
			if size < 0 || p.Offset[d] < 0 || p.Offset[d] > l.Shape[d]-size {
				return fmt.Errorf("piece %d reaches beyond dimension %d", i, d)
			}
		}
		n, _ := format.Elements(p.Shape) // no more than the tensor has
		left -= n
		if left < 0 {
			return errors.New("its pieces overlap")
		}
	}
	if left > 0 {
		return fmt.Errorf("%d of its elements are in no piece", left)
	}
	return l.apart()
}

// apart demands that no two pieces have an element in common. Pieces in the order of their elements, cut along the first
// dimensions, as nearly all are, are only compared with the next.
func (l *Layout) apart() error {
	inOrder := true
	for i := 1; i < len(l.Pieces) && inOrder; i++ {
		inOrder = behind(&l.Pieces[i-1], &l.Pieces[i])
	}
	if inOrder {
		return nil
	}
	for i := range l.Pieces {
		for j := range i {
			if overlap(&l.Pieces[i], &l.Pieces[j]) {
				return errors.New("its pieces overlap")
			}
		}
	}
	return nil
}

// behind reports whether a box begins where another ends, along the first dimension.
func behind(a, b *Piece) bool {
	return len(a.Shape) > 0 && b.Offset[0] >= a.Offset[0]+a.Shape[0]
}

func overlap(a, b *Piece) bool {
	for d := range a.Shape {
		if a.Offset[d] >= b.Offset[d]+b.Shape[d] || b.Offset[d] >= a.Offset[d]+a.Shape[d] {
			return false
		}
	}
	return true
}
