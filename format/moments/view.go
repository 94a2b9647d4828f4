package moments

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"weld/format"
	"weld/mmapio"
	"weld/scoring"
)

// Moments are an optimizer's second moments. It implements [format.Checkpoint].
type Moments struct {
	format.Checkpoint // the states as they were saved
	tensors           []format.Tensor
	from              []decoder
	table             format.NameTable
	notes             []string
	lent              mmapio.Buffers
}

// decoder computes second moments.
type decoder interface {
	// first is the tensor of the states that stands for it.
	first() int
	// fill computes the elements from lo on.
	fill(from lender, dst []float32, lo int64) error
	// stored is where [lo, lo+n) of them lie, in bytes of the first.
	stored(lo, n int64) (off, bytes int64)
}

// view shows the second moments of all parameters under names.
func (s *states) view(names []string) (*Moments, error) {
	m := &Moments{Checkpoint: s.raw, notes: slices.Clone(s.notes)}
	groups := make(map[string]*group)
	for i := range s.groups {
		for _, key := range s.groups[i].keys {
			groups[key] = &s.groups[i]
		}
	}
	var left leftOut
	for i, p := range s.params {
		d, shape, err := s.decoder(p)
		if err != nil {
			return nil, err
		}
		if d == nil {
			left.without = append(left.without, i)
			continue
		}
		if d, ok := d.(correctable); ok {
			steps, known, err := s.stepsOf(p)
			switch {
			case err != nil:
				return nil, err
			case known && steps == 0:
				left.unstepped = append(left.unstepped, i)
				continue
			case known && (!(steps >= 1) || math.IsInf(steps, 1)):
				return nil, s.fault(format.KindNonfinite, p.key, "%g steps: its second moment is of nothing", steps)
			}
			if !d.correct(steps, known, s.group(groups, p)) {
				left.biased = append(left.biased, i)
			}
		}
		left.with = append(left.with, i)
		m.tensors = append(m.tensors, format.Tensor{Name: names[i], DType: format.F32, Shape: shape})
		m.from = append(m.from, d)
		if _, again := m.table.Add(m.nameAt); again {
			return nil, s.fault(format.KindDuplicate, names[i], "two states are of one parameter")
		}
	}
	if len(m.tensors) == 0 {
		return nil, s.none(left)
	}
	m.notes = append(m.notes, s.say(left, names)...)
	return m, nil
}

// lender lends bytes of the states, as a view or as a copy.
type lender struct {
	of   format.Checkpoint
	lend func(i int, off, n int64) (mmapio.View, error)
}

// values lends elements of a tensor.
func (l lender) values(i int, lo, n int64, use func(data []byte)) error {
	width := int64(l.of.Tensors()[i].DType.Bits()) / 8
	view, err := l.lend(i, lo*width, n*width)
	if err != nil {
		return err
	}
	defer view.Release()
	return mmapio.Guard([]mmapio.View{view}, func() error {
		use(view.Data)
		return nil
	})
}

func (m *Moments) nameAt(i int) string { return m.tensors[i].Name }

// Tensors implements [format.Checkpoint].
func (m *Moments) Tensors() []format.Tensor { return m.tensors }

// Find implements [format.Checkpoint].
func (m *Moments) Find(name string) (int, bool) { return m.table.Find(name, m.nameAt) }

// Unwrap implements [format.Wrapper].
func (m *Moments) Unwrap() format.Checkpoint { return m.Checkpoint }

// Notes implements [format.Noted].
func (m *Moments) Notes() []string { return m.notes }

// Metadata implements [format.Described]: what the numbers are, and what the states say.
func (m *Moments) Metadata() map[string]string {
	said := maps.Clone(format.Metadata(m.Checkpoint))
	if said == nil {
		said = make(map[string]string)
	}
	said[scoring.StatisticKey] = scoring.AdamSecondMoment.String()
	return said
}

// FileOf implements [format.Sharded].
func (m *Moments) FileOf(i int) int { return format.FileOf(m.Checkpoint, m.from[i].first()) }

// ViewCost implements [format.Costly]: values, and what they are computed from.
func (m *Moments) ViewCost(n int64) int64 {
	return n + 2*width + 8*pieceElements + 3*format.ViewCost(m.Checkpoint, 8*pieceElements)
}

// width is the bytes of an element, and pieceElements how many are computed at a time.
const (
	width         = 4
	pieceElements = 64 << 10
)

// Stored implements [format.Verbatim]: they lie nowhere as they are shown.
func (m *Moments) Stored(int) (*mmapio.File, int64) { return nil, 0 }

// InPieces implements [format.Pieced].
func (m *Moments) InPieces(int) bool { return true }

// Advise implements [format.Advised].
func (m *Moments) Advise(a mmapio.Advice, i int, off, n int64) {
	lo, end := off/width, (off+n+width-1)/width
	off, n = m.from[i].stored(lo, end-lo)
	format.Advise(m.Checkpoint, a, m.from[i].first(), off, n)
}

// View implements [format.Checkpoint].
func (m *Moments) View(i int, off, n int64) (mmapio.View, error) {
	return m.computed(viewed(m.Checkpoint), i, off, n)
}

// Read implements [format.Copied].
func (m *Moments) Read(i int, off, n int64) (mmapio.View, error) {
	return m.computed(lender{m.Checkpoint, func(i int, off, n int64) (mmapio.View, error) { return format.Read(m.Checkpoint, i, off, n) }}, i, off, n)
}

// viewed lends views.
func viewed(c format.Checkpoint) lender { return lender{c, c.View} }

// computed lends a buffer with second moments.
func (m *Moments) computed(from lender, i int, off, n int64) (mmapio.View, error) {
	t := &m.tensors[i]
	if err := format.CheckView(m, i, off, n); err != nil {
		return mmapio.View{}, err
	}
	view, err := m.lent.Lend(off, n, width, func(data []byte, first int64) error { return m.fill(from, i, first, data) })
	if err != nil {
		return mmapio.View{}, fmt.Errorf("%s: tensor %q: compute its second moments: %w", m.Path(), t.Name, err)
	}
	return view, nil
}
