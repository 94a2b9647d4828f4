package moments

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

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
	beta2 := make(map[string]float64)
	for _, g := range s.groups {
		for _, key := range g.keys {
			beta2[key] = g.beta2
		}
	}
	var without, biased []string
	for i, p := range s.params {
		d, shape, err := s.decoder(p)
		if err != nil {
			return nil, err
		}
		if d == nil {
			without = append(without, names[i])
			continue
		}
		if corrected, ok := d.(correctable); ok {
			by, known, err := s.bias(p, beta2[p.key])
			if err != nil {
				return nil, err
			}
			if corrected.correct(by); !known {
				biased = append(biased, names[i])
			}
		}
		m.tensors = append(m.tensors, format.Tensor{Name: names[i], DType: format.F32, Shape: shape})
		m.from = append(m.from, d)
		if _, again := m.table.Add(m.nameAt); again {
			return nil, s.fault(format.KindDuplicate, names[i], "two states are of one parameter")
		}
	}
	if len(m.tensors) == 0 {
		return nil, s.fault(format.KindUnsupported, "", "no second moment that weld knows is in it, but %s: SGD, Lion and Muon keep none; an importance file, or an optimizer such as Adam or Adafactor, has some", strings.Join(s.kindsSeen(), ", "))
	}
	if len(without) > 0 {
		m.notes = append(m.notes, fmt.Sprintf("%s: %d of %d parameters have no second moment, such as %s: their optimizer keeps none", s.path, len(without), len(s.params), without[0]))
	}
	if len(biased) > 0 {
		m.notes = append(m.notes, fmt.Sprintf("%s: the second moments of %d parameters, such as %s, are not corrected for their bias: their steps or β₂ are not saved", s.path, len(biased), biased[0]))
	}
	return m, nil
}

// kindsSeen are what is kept of any parameter.
func (s *states) kindsSeen() (list []string) {
	for _, kind := range kinds {
		if slices.ContainsFunc(s.params, func(p param) bool { _, ok := p.parts[kind]; return ok }) {
			list = append(list, kind)
		}
	}
	return list
}

// bias is what a parameter's second moment is divided by, 1 − β₂^t; known says whether its steps and β₂ are.
func (s *states) bias(p param, beta2 float64) (by float64, known bool, err error) {
	step, ok := s.steps[p.key]
	if i, isTensor := p.parts["step"]; isTensor && s.raw.Tensors()[i].Elements() == 1 {
		t := s.raw.Tensors()[i]
		err := viewed(s.raw).values(i, 0, 1, func(data []byte) {
			var one [1]float64
			switch ok = true; {
			case t.DType == format.I64:
				one[0] = float64(int64(binary.LittleEndian.Uint64(data)))
			case t.DType == format.I32:
				one[0] = float64(int32(binary.LittleEndian.Uint32(data)))
			case t.DType.Computable():
				format.Decode(t.DType, one[:], data)
			default:
				ok = false
			}
			step = one[0]
		})
		if err != nil {
			return 0, false, err
		}
	}
	switch {
	case !ok || beta2 == 0:
		return 1, false, nil
	case !(step >= 1) || math.IsInf(step, 1):
		return 0, false, s.fault(format.KindNonfinite, p.key, "%g steps: its second moment is of nothing", step)
	}
	return 1 - math.Pow(beta2, step), true, nil
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
	switch size := t.Bytes(); {
	case off < 0 || n < 0 || off > size-n:
		return mmapio.View{}, fmt.Errorf("%s: tensor %q: bytes [%d, %d) are not inside its %d", m.Path(), t.Name, off, off+n, size)
	case n > mmapio.MaxView:
		return mmapio.View{}, fmt.Errorf("%s: tensor %q: a view of %d bytes is over the limit of %d", m.Path(), t.Name, n, int64(mmapio.MaxView))
	case n == 0:
		return mmapio.View{}, nil
	}
	lo, hi := off/width, (off+n+width-1)/width
	buf := m.lent.Borrow((hi - lo) * width)
	if err := m.fill(from, i, lo, buf.Data); err != nil {
		buf.TakeBack(nil, 0)
		return mmapio.View{}, fmt.Errorf("%s: tensor %q: compute its second moments: %w", m.Path(), t.Name, err)
	}
	begin := off - lo*width
	return mmapio.Lend(buf.Data[begin:begin+n:begin+n], buf, 0), nil
}
