package moments

import (
	"fmt"
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
	fill(c format.Checkpoint, dst []float32, lo int64) error
}

// view shows the second moments of all parameters under names.
func (s *states) view(names []string) (*Moments, error) {
	m := &Moments{Checkpoint: s.raw}
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
		return nil, s.fault(format.KindUnsupported, "", "no second moment is in it, but %s: SGD, Lion and Muon keep none; an importance file, or an optimizer such as Adam or Adafactor, has some", strings.Join(s.kindsSeen(), ", "))
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
	if i, isTensor := p.parts["step"]; isTensor && s.raw.Tensors()[i].Elements() == 1 && s.raw.Tensors()[i].Computable() {
		list, err := vector(s.raw, i, 0, 1)
		if err != nil {
			return 0, false, err
		}
		step, ok = list[0], true
	}
	switch {
	case !ok || beta2 == 0:
		return 1, false, nil
	case !(step >= 1):
		return 0, false, s.fault(format.KindNonfinite, p.key, "%g steps: its second moment is of nothing", step)
	}
	return 1 - math.Pow(beta2, step), true, nil
}

// values lends elements of a tensor.
func values(c format.Checkpoint, i int, lo, n int64, use func(data []byte)) error {
	width := int64(c.Tensors()[i].DType.Bits()) / 8
	view, err := c.View(i, lo*width, n*width)
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

// Metadata implements [format.Described]: what the numbers are.
func (m *Moments) Metadata() map[string]string {
	return map[string]string{scoring.StatisticKey: scoring.AdamSecondMoment.String()}
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

// View implements [format.Checkpoint].
func (m *Moments) View(i int, off, n int64) (mmapio.View, error) {
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
	if err := m.fill(i, lo, buf.Data); err != nil {
		buf.TakeBack(nil, 0)
		return mmapio.View{}, fmt.Errorf("%s: tensor %q: compute its second moments: %w", m.Path(), t.Name, err)
	}
	begin := off - lo*width
	return mmapio.Lend(buf.Data[begin:begin+n:begin+n], buf, 0), nil
}
