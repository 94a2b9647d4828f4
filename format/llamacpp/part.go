package llamacpp

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"weld/format"
)

// part is a tensor as it is shown, and where its values come from.
type part struct {
	tensor format.Tensor
	from   []int // stored tensors whose elements stand one behind the other; none where values are made
	begin  int64 // the element of the only one at which it begins
	order  order
	wide   bool      // in float32, whatever is stored
	add    float32   // to each value
	made   []float32 // values that are nowhere stored; nil for none
}

// mapping finds the parts of a model.
type mapping struct {
	*Architecture
	format.Checkpoint
	sizes  sizes
	heads  int64 // of queries
	groups int64 // of keys and values
	layers int64
	toHub  bool
	parts  []part
	used   []bool
	seen   [presences][2]string // a tensor of each kind that is there, and one that is not
}

// find lists the parts; what is missing, of another shape, or left over is an error.
func (m *mapping) find() error {
	m.used = make([]bool, len(m.Tensors()))
	for _, r := range m.outside {
		if err := m.add(r, "", ""); err != nil {
			return err
		}
	}
	for n := range m.layers {
		number := strconv.FormatInt(n, 10)
		for _, r := range m.layer {
			if err := m.add(r, "blk."+number+".", "model.layers."+number+"."); err != nil {
				return err
			}
		}
	}
	for when, both := range m.seen {
		if both[0] != "" && both[1] != "" {
			return m.refuse(both[1], format.KindNames, "it is not there, and %q is: %s has all of them or none (%s)", both[0], m.Model, [...]string{"", "", "biases", "biases", "biases"}[when])
		}
	}
	return nil
}

// has reports whether tensors of a kind are there.
func (m *mapping) has(when presence) bool { return m.seen[when][0] != "" }

// names are those of a row in a layer: here, and as it is shown.
func (m *mapping) names(r row, ggufLayer, hubLayer string) (stored, shown string) {
	stored, shown = ggufLayer+r.gguf, hubLayer+r.hub
	if !m.toHub {
		return shown, stored
	}
	return stored, shown
}

// add finds a row of the table.
func (m *mapping) add(r row, ggufLayer, hubLayer string) error {
	stored, shown := m.names(r, ggufLayer, hubLayer)
	shape := make([]int64, len(r.shape))
	for i, d := range r.shape {
		shape[i] = m.sizes[d]
	}
	switch {
	case r.how == stacked && m.toHub:
		return m.split(r, stored, shown, shape)
	case r.how == stacked:
		return m.stack(stored, shown, shape)
	}
	i, err := m.take(stored, shape, r.when == always)
	if i < 0 || err != nil {
		if err == nil {
			m.seen[r.when][1] = stored
		}
		return err
	}
	m.seen[r.when][0] = stored
	p := part{from: []int{i}, tensor: m.Tensors()[i]}
	p.tensor.Name, p.tensor.Shape = shown, shape
	switch r.how {
	case queryHeads:
		p.order = m.order(m.heads)
	case keyHeads:
		p.order = m.order(m.groups)
	case norm:
		p.add = m.shift
		if m.toHub {
			p.add = -m.shift
		}
	}
	p.wide = p.add != 0 || !m.toHub && (len(shape) == 1 || r.how == norm || r.how == inFloat32)
	m.parts = append(m.parts, p.widened())
	return nil
}

// widened says that a part is shown in float32, where it is.
func (p part) widened() part {
	if p.wide {
		p.tensor.DType, p.tensor.Stored = format.F32, format.Invalid
	}
	return p
}

// order is that of rows in so many heads, if it is another one than is wanted.
func (m *mapping) order(heads int64) order {
	if !m.pairs {
		return order{}
	}
	return order{head: m.sizes[head], toHub: m.toHub}
}

// take finds a stored tensor of a shape; −1 where it is not there and need not be.
func (m *mapping) take(name string, shape []int64, needed bool) (int, error) {
	i, ok := m.Find(name)
	switch {
	case !ok && needed:
		return -1, m.refuse(name, format.KindNames, "%s has such a tensor, and it is not there", m.Model)
	case !ok:
		return -1, nil
	}
	if got := m.Tensors()[i].Shape; !slices.Equal(squeezed(got), squeezed(shape)) {
		return -1, m.refuse(name, format.KindShape, "its shape is %v, and %v follows from what is said of the model (%s)", got, shape, m.sizesText())
	}
	if t := m.Tensors()[i]; !t.DType.Computable() {
		return -1, m.refuse(name, format.KindDType, "it is of %v, and a weight of numbers was expected", t.DType)
	}
	m.used[i] = true
	return i, nil
}

// squeezed is a shape without dimensions of 1: ggml takes them for the same.
func squeezed(shape []int64) []int64 {
	return slices.DeleteFunc(slices.Clone(shape), func(n int64) bool { return n == 1 })
}

// split shows the experts that are stored in one tensor, or each by itself, as files of early 2024 have them, under the names of the Hub.
func (m *mapping) split(r row, stored, shown string, shape []int64) error {
	each := shape[1] * shape[2]
	name := func(e int64) string { return strings.Replace(shown, expert, strconv.FormatInt(e, 10), 1) }
	if _, ok := m.Find(stored); !ok {
		early := strings.Replace(stored, "_exps.", ".#.", 1)
		if _, ok := m.Find(strings.Replace(early, expert, "0", 1)); ok {
			for e := range shape[0] {
				i, err := m.take(strings.Replace(early, expert, strconv.FormatInt(e, 10), 1), shape[1:], true)
				if err != nil {
					return err
				}
				m.expert(name(e), i, 0, shape[1:])
			}
			return nil
		}
	}
	i, err := m.take(stored, shape, true)
	if err != nil {
		return err
	}
	for e := range shape[0] {
		m.expert(name(e), i, e*each, shape[1:])
	}
	return nil
}

func (m *mapping) expert(name string, from int, begin int64, shape []int64) {
	t := m.Tensors()[from]
	t.Name, t.Shape = name, shape
	m.parts = append(m.parts, part{tensor: t, from: []int{from}, begin: begin})
}

// stack shows experts of the Hub in one tensor.
func (m *mapping) stack(stored, shown string, shape []int64) error {
	p := part{}
	for e := range shape[0] {
		i, err := m.take(strings.Replace(stored, expert, strconv.FormatInt(e, 10), 1), shape[1:], true)
		if err != nil {
			return err
		}
		t := m.Tensors()[i]
		if e == 0 {
			p.tensor = t
		}
		if t.DType != p.tensor.DType || t.Stored != p.tensor.Stored {
			return m.refuse(t.Name, format.KindDType, "it is of %v, and the experts before it of %v: GGUF has them in one tensor; a directory in which all have one type, as weld convert --dtype writes one, can be converted", t.StoredDType(), p.tensor.StoredDType())
		}
		p.from = append(p.from, i)
	}
	p.tensor.Name, p.tensor.Shape = shown, shape
	m.parts = append(m.parts, p)
	return nil
}

// rest are the stored tensors that no row of the table names.
func (m *mapping) rest() (list []int) {
	for i, used := range m.used {
		if !used {
			list = append(list, i)
		}
	}
	return list
}

// sizesText says which sizes a model has.
func (m *mapping) sizesText() string {
	return fmt.Sprintf("%d layers of %d, %d heads and %d groups of %d, a vocabulary of %d", m.layers, m.sizes[embedding], m.heads, m.groups, m.sizes[head], m.sizes[vocabulary])
}

// refuse is the error for a tensor.
func (m *mapping) refuse(tensor string, kind format.Kind, text string, args ...any) error {
	return &format.Error{Path: m.Path(), Tensor: tensor, Kind: kind, Detail: fmt.Sprintf(text, args...)}
}
