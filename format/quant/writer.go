package quant

import (
	"errors"
	"fmt"
	"sync"

	"weld/format"
	"weld/internal/vec"
	"weld/mmapio"
)

// Writer is a [format.Writer] that takes some tensors as values, in float32, and passes them on as codes and companions. The
// values of a stripe are collected; whoever brings the last of them encodes it.
type Writer struct {
	format.Writer
	encoded map[int]*encodedTensor
	free    sync.Pool // of *stripe
}

// EncodedTarget says where a tensor's codes and companions go.
type EncodedTarget struct {
	*Encoding
	Codes      int   // the tensor, for the writer behind and for whoever writes values
	Companions []int // of the writer behind, in the order of the encoding's
}

// NewWriter puts codes in the place of values.
func NewWriter(w format.Writer, targets []EncodedTarget) *Writer {
	q := &Writer{Writer: w, encoded: make(map[int]*encodedTensor, len(targets))}
	for _, t := range targets {
		q.encoded[t.Codes] = &encodedTensor{EncodedTarget: t, grid: t.coding.blockGrid, high: t.stripeRows(), stripes: make(map[int64]*collectedStripe)}
	}
	return q
}

// WriteAt implements [format.Writer]; off and p are of the values, where a tensor is encoded.
func (q *Writer) WriteAt(i int, off int64, p []byte) error {
	t := q.encoded[i]
	if t == nil {
		return q.Writer.WriteAt(i, off, p)
	}
	if off%width != 0 || len(p)%width != 0 {
		return fmt.Errorf("encode %q: bytes [%d, %d) are no whole values", t.Encoding.Codes.Name, off, off+int64(len(p)))
	}
	if err := t.copyCompanions(q.Writer); err != nil {
		return err
	}
	for at := off / width; len(p) > 0; {
		begin, n := t.stripeOf(at)
		s := t.collect(q, begin, n)
		part := min(int64(len(p)/width), begin+n-at)
		vec.DecodeF32(s.values[at-begin:at-begin+part], p[:part*width])
		if t.complete(begin, part) {
			if err := t.write(q, begin, s.stripe); err != nil {
				return err
			}
		}
		at, p = at+part, p[part*width:]
	}
	return nil
}

// CopyAt implements [format.Writer]. Values lie in no file.
func (q *Writer) CopyAt(i int, off int64, src *mmapio.File, from, n int64) error {
	if q.encoded[i] != nil {
		return errors.ErrUnsupported
	}
	return q.Writer.CopyAt(i, off, src, from, n)
}

// encodedTensor is a tensor on its way.
type encodedTensor struct {
	EncodedTarget
	grid blockGrid
	high int64 // rows of a stripe

	copied  sync.Once
	failed  error // of the copy
	mu      sync.Mutex
	stripes map[int64]*collectedStripe // by their first elements
}

// collectedStripe is a stripe of which some values have come.
type collectedStripe struct {
	*stripe
	left int64 // that have not
}

// stripeOf is the stripe of an element: where it begins, and how many it has.
func (t *encodedTensor) stripeOf(element int64) (begin, n int64) {
	row := element / t.grid.cols
	top := row % t.grid.rows / t.high * t.high
	begin = (row/t.grid.rows*t.grid.rows + top) * t.grid.cols
	return begin, min(t.high, t.grid.rows-top) * t.grid.cols
}

// collect finds or begins a stripe.
func (t *encodedTensor) collect(q *Writer, begin, n int64) *collectedStripe {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.stripes[begin]
	if s == nil {
		s = &collectedStripe{q.borrow(n, t.grid.cols), n}
		t.stripes[begin] = s
	}
	return s
}

// complete takes account of values that have come, and reports whether they were the last of the stripe.
func (t *encodedTensor) complete(begin, values int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.stripes[begin]
	if s.left -= values; s.left > 0 {
		return false
	}
	delete(t.stripes, begin)
	return true
}

// write encodes a stripe, and passes it on.
func (t *encodedTensor) write(q *Writer, begin int64, s *stripe) error {
	defer q.free.Put(s)
	row := begin / t.grid.cols
	if err := t.reference.lend(func(r *lentReference) error { return t.encode(s, row/t.grid.rows, row%t.grid.rows, r) }); err != nil {
		return fmt.Errorf("encode %q: %w", t.Encoding.Codes.Name, err)
	}
	if err := q.Writer.WriteAt(t.Codes, s.codesAt, s.codes); err != nil {
		return err
	}
	return q.Writer.WriteAt(t.Companions[0], s.scalesAt, s.scales)
}

// copyCompanions writes what belongs to the codes and is not made of the values, once.
func (t *encodedTensor) copyCompanions(w format.Writer) error {
	t.copied.Do(func() {
		if t.reference != nil {
			t.failed = t.reference.copyBeside(func(k int, data []byte) error { return w.WriteAt(t.Companions[1+k], 0, data) })
		}
	})
	return t.failed
}

// borrow finds or makes memory for a stripe of n values in rows of so many.
func (q *Writer) borrow(n, cols int64) *stripe {
	s, ok := q.free.Get().(*stripe)
	if !ok {
		s = new(stripe)
	}
	if int64(cap(s.values)) < n || int64(len(s.row)) < cols {
		s.values, s.codes, s.row = make([]float32, n), make([]byte, n), make([]float32, cols)
	}
	s.values = s.values[:n]
	return s
}
