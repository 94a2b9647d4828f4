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
// values of a stripe are collected; whoever brings the last of them encodes it. Of a tensor whose scales are of more than a stripe, all values
// are to be shown to Measure before the first is written. Companions that are not made of values are written to it like any tensor.
type Writer struct {
	format.Writer
	encoded map[int]*encodedTensor
	free    mmapio.Spare[stripe]
	pieces  mmapio.Spare[[2 * pieceElements]float32] // values, and those of a reference
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
		g := t.coding.blockGrid
		q.encoded[t.Codes] = &encodedTensor{EncodedTarget: t, grid: g, high: t.stripeRows(), stripes: make(map[int64]*collectedStripe), left: g.slices * g.rows * g.cols}
	}
	return q
}

// Measures reports whether the values of a tensor have to be shown to Measure.
func (q *Writer) Measures(i int) bool {
	t := q.encoded[i]
	return t != nil && t.measures()
}

// Measure is shown values that WriteAt will be given, each once. It may be called from several goroutines at once.
func (q *Writer) Measure(i int, off int64, p []byte) error {
	t := q.encoded[i]
	if err := t.whole(off, p); err != nil {
		return err
	}
	m := t.measure()
	room := q.pieces.Get()
	if room == nil {
		room = new([2 * pieceElements]float32)
	}
	defer q.pieces.Put(room, int64(len(room))*width)
	err := t.reference.lend(func(r *lentReference) error {
		for lo := off / width; len(p) > 0; {
			n := min(len(p)/width, pieceElements)
			values, ok := vec.Floats(p[:n*width])
			if !ok {
				values = room[:n]
				vec.DecodeF32(values, p[:n*width])
			}
			if err := m.add(lo, values, r, room[pieceElements:]); err != nil {
				return err
			}
			lo, p = lo+int64(n), p[n*width:]
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("measure %q: %w", t.Encoding.Codes.Name, err)
	}
	return nil
}

// Collects reports whether a tensor's values are collected.
func (q *Writer) Collects(i int) bool { return q.encoded[i] != nil }

// Lend lends memory for values of such a tensor, n bytes at most from off on, which WriteAt is given when it is filled in; nil for none. Others may be
// lent other parts of the tensor at the same time.
func (q *Writer) Lend(i int, off, n int64) []byte {
	t := q.encoded[i]
	at := off / width
	begin, size := t.stripeOf(at)
	memory, ok := vec.Bytes(t.collect(q, begin, size).values[at-begin:])
	if !ok || off%width != 0 {
		return nil
	}
	return memory[:min(n, int64(len(memory)))]
}

// WriteAt implements [format.Writer]; off and p are of the values, where a tensor is encoded.
func (q *Writer) WriteAt(i int, off int64, p []byte) error {
	t := q.encoded[i]
	if t == nil {
		return q.Writer.WriteAt(i, off, p)
	}
	if err := t.whole(off, p); err != nil {
		return err
	}
	if err := t.begin(q.Writer); err != nil {
		return err
	}
	for at := off / width; len(p) > 0; {
		begin, n := t.stripeOf(at)
		part := min(int64(len(p)/width), begin+n-at)
		if err := t.take(q, begin, n, at-begin, p[:part*width]); err != nil {
			return err
		}
		at, p = at+part, p[part*width:]
	}
	return nil
}

// take takes values of one stripe, which begin at one of its n, and writes it if they are the last.
func (t *encodedTensor) take(q *Writer, begin, n, at int64, p []byte) error {
	if values, ok := vec.Floats(p); ok && int64(len(values)) == n && t.order == nil && !t.begunStripe(begin) {
		s := q.borrow(0, t.grid.cols) // encoding changes no values
		own := s.values
		s.values = values
		err := t.write(q, begin, s)
		s.values = own
		q.giveBack(s)
		return err
	}
	s := t.collect(q, begin, n)
	values := s.values[at : at+int64(len(p)/width)]
	if lent, ok := vec.Bytes(values); !ok || &lent[0] != &p[0] {
		vec.DecodeF32(values, p)
	}
	if !t.complete(begin, int64(len(values))) {
		return nil
	}
	defer q.giveBack(s.stripe)
	return t.write(q, begin, s.stripe)
}

// begunStripe reports whether a stripe is collected.
func (t *encodedTensor) begunStripe(begin int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stripes[begin] != nil
}

// CopyAt implements [format.Writer]. Values lie in no file.
func (q *Writer) CopyAt(i int, off int64, src *mmapio.File, from, n int64) error {
	if q.encoded[i] != nil {
		return errors.ErrUnsupported
	}
	return q.Writer.CopyAt(i, off, src, from, n)
}

// Close implements [format.Writer]. A tensor without values was never given one, and may have companions with some: the scale of all of
// it, what belongs to activations, a shape.
func (q *Writer) Close() error {
	for _, t := range q.encoded {
		if t.grid.slices*t.grid.rows*t.grid.cols > 0 {
			continue
		}
		if err := t.writeEmpty(q.Writer); err != nil {
			return errors.Join(err, q.Writer.Close())
		}
	}
	return q.Writer.Close()
}

// encodedTensor is a tensor on its way.
type encodedTensor struct {
	EncodedTarget
	grid blockGrid
	high int64 // rows of a stripe

	begun  sync.Once
	failed error // of what is done when it begins
	order  []int32

	mu       sync.Mutex
	measured *measured                  // nil until something was
	stripes  map[int64]*collectedStripe // by their first elements
	matrices map[int64]*turnedMatrix    // whose codes are collected, by their numbers
	left     int64                      // values that are not written
}

// whole demands that bytes are whole values.
func (t *encodedTensor) whole(off int64, p []byte) error {
	if off%width != 0 || len(p)%width != 0 {
		return fmt.Errorf("encode %q: bytes [%d, %d) are no whole values", t.Encoding.Codes.Name, off, off+int64(len(p)))
	}
	return nil
}

// measure begins to measure, once.
func (t *encodedTensor) measure() *measured {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.measured == nil {
		t.measured = newMeasured(&t.coding)
	}
	return t.measured
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
	row := begin / t.grid.cols
	if t.turned != nil {
		defer t.wrote(int64(len(s.values)))
		return t.writeTurned(q.Writer, s, row/t.grid.rows, row%t.grid.rows)
	}
	if t.inBlocks != nil {
		defer t.wrote(int64(len(s.values)))
		return t.writeBlocks(q.Writer, s, begin)
	}
	if err := t.reference.lend(func(r *lentReference) error {
		return t.encode(s, row/t.grid.rows, row%t.grid.rows, given{r, t.measured, t.order})
	}); err != nil {
		return fmt.Errorf("encode %q: %w", t.Encoding.Codes.Name, err)
	}
	var err error
	if len(s.scales) > 0 {
		err = q.Writer.WriteAt(t.Companions[0], s.scalesAt, s.scales)
	}
	if err == nil && len(s.zeros) > 0 {
		err = q.Writer.WriteAt(t.Companions[1], s.zerosAt, s.zeros)
	}
	if err == nil { // last: with all codes, all that belongs to them has come
		err = q.Writer.WriteAt(t.Codes, s.codesAt, s.codes)
	}
	t.wrote(int64(len(s.values)))
	return err
}

// wrote takes account of values that are written. Behind the last of them, nothing is held of the tensor.
func (t *encodedTensor) wrote(values int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.left -= values; t.left == 0 {
		t.measured, t.order = nil, nil
	}
}

// begin does what comes before the first value is taken: what was measured is written.
func (t *encodedTensor) begin(w format.Writer) error {
	t.begun.Do(func() {
		t.failed = t.reference.lend(func(r *lentReference) (err error) {
			if t.order, err = r.order(t.cols); err == nil && t.measures() {
				err = t.settle(w, r)
			}
			return err
		})
		for k := 0; k < len(t.given) && t.failed == nil; k++ {
			t.failed = w.WriteAt(t.Companions[t.valued()+k], 0, t.given[k])
		}
		if t.failed != nil {
			t.failed = fmt.Errorf("encode %q: %w", t.Encoding.Codes.Name, t.failed)
		}
	})
	return t.failed
}

// writeEmpty writes all that a tensor without values has.
func (t *encodedTensor) writeEmpty(w format.Writer) error {
	if err := t.begin(w); err != nil || t.measures() || t.inBlocks != nil {
		return err
	}
	scales, zeros := make([]byte, t.Encoding.Companions[0].Bytes()), []byte(nil)
	if t.zeros != nil {
		zeros = make([]byte, t.Encoding.Companions[1].Bytes())
	}
	err := t.reference.lend(func(r *lentReference) error {
		if r != nil {
			return r.copyScales(0, scales, 0, zeros)
		}
		size := int(t.scaleType.Bits() / 8)
		for at := 0; at < len(scales); at += size {
			if _, err := t.factorsOf(scales[at:][:size], extremes{}, 0); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && len(scales) > 0 {
		err = w.WriteAt(t.Companions[0], 0, scales)
	}
	if err == nil && len(zeros) > 0 {
		err = w.WriteAt(t.Companions[1], 0, zeros)
	}
	return err
}

// settle writes what was measured.
func (t *encodedTensor) settle(w format.Writer, r *lentReference) error {
	m := t.measure()
	if err := m.settle(r); err != nil {
		return err
	}
	if t.level != nil {
		return w.WriteAt(t.Companions[t.valued()-1], 0, t.level.bytes(m.global))
	}
	err := w.WriteAt(t.Companions[0], 0, m.scales)
	if err == nil && t.zeros != nil {
		err = w.WriteAt(t.Companions[1], 0, m.zeros)
	}
	return err
}

// borrow finds or makes memory for a stripe of n values in rows of so many.
func (q *Writer) borrow(n, cols int64) *stripe {
	s := q.free.Get()
	if s == nil {
		s = new(stripe)
	}
	if int64(cap(s.values)) < n {
		s.values = make([]float32, n)
	}
	if int64(len(s.row)) < cols {
		s.row = make([]float32, cols)
	}
	s.values = s.values[:n]
	return s
}

// giveBack ends the use of a stripe.
func (q *Writer) giveBack(s *stripe) {
	q.free.Put(s, int64(cap(s.values)+cap(s.old)+cap(s.turned))*width+int64(cap(s.codes)))
}
