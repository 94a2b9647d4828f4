package lora

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"weld/format"
	"weld/format/names"
)

// Apply shows base with an adapter applied: config is its adapter_config.json. The result
// owns both checkpoints and closes them; after an error they are still the caller's.
//
// Every tensor of the adapter must find its target and fit it; the error joins a
// [*format.Error] for each that does not.
func Apply(base, adapter format.Checkpoint, config []byte) (format.Checkpoint, error) {
	parsed, err := parseConfig(adapter.Path(), config)
	if err != nil {
		return nil, err
	}
	m := matching{config: parsed, base: base, adapter: adapter, names: names.NewFinder(base.Tensors(), base.Find), edits: make(map[int]*edit)}
	m.gather()
	m.complete()
	changes := m.changes()
	if len(m.faults) > 0 {
		return nil, errors.Join(m.faults...)
	}
	return newCheckpoint(base, adapter, config, changes), nil
}

// edit is what an adapter does to one tensor of the base: indices of its own tensors,
// or none.
type edit struct {
	target    int
	module    string
	embedding bool
	whole     int
	under     bool // the product is added to the whole tensor
	a, b      int
}

const none = -1

// matching finds the target of every tensor of an adapter.
type matching struct {
	config        *config
	base, adapter format.Checkpoint
	names         *names.Finder
	edits         map[int]*edit // by target
	name          string        // of the adapter in its own tensors
	named         bool
	faults        []error
}

// fault notes what is wrong with tensor i of the adapter.
func (m *matching) fault(i int, kind format.Kind, detail string, args ...any) {
	m.faults = append(m.faults, &format.Error{
		Path: m.adapter.Path(), Tensor: m.adapter.Tensors()[i].Name, Kind: kind, Detail: fmt.Sprintf(detail, args...),
	})
}

// gather sorts the adapter's tensors by their targets.
func (m *matching) gather() {
	for i, t := range m.adapter.Tensors() {
		k, kind, wrong := parseKey(t.Name)
		if wrong != "" {
			m.fault(i, kind, "%s", wrong)
			continue
		}
		target, doubt, ok := m.names.Find(k.target)
		if len(doubt) > 0 {
			m.fault(i, format.KindNames, "%q could be %q or %q of %s; weld does not choose", clip(k.target), clip(doubt[0]), clip(doubt[1]), m.base.Path())
			continue
		}
		if !ok {
			m.fault(i, format.KindKey, "%s has no tensor %q (one that shares another's bytes is not stored)", m.base.Path(), clip(k.target))
			continue
		}
		m.add(i, k, target)
	}
	if len(m.adapter.Tensors()) == 0 {
		m.faults = append(m.faults, &format.Error{Path: m.adapter.Path(), Kind: format.KindKey, Detail: "an adapter without tensors"})
	}
}

// add notes what tensor i does to its target.
func (m *matching) add(i int, k key, target int) {
	e := m.edits[target]
	if e == nil {
		e = &edit{target: target, whole: none, a: none, b: none}
		m.edits[target] = e
	}
	slot := &e.whole
	switch k.role {
	case whole:
		e.under = k.under
	case factorA:
		slot = &e.a
	case factorB:
		slot = &e.b
	}
	if *slot != none {
		m.fault(i, format.KindDuplicate, "%q does the same", clip(m.adapter.Tensors()[*slot].Name))
		return
	}
	*slot = i
	if k.role == whole {
		return
	}
	switch {
	case m.named && m.name != k.adapter:
		m.fault(i, format.KindUnsupported, "the file holds several adapters, %q and %q", clip(m.name), clip(k.adapter))
	case e.module != "" && (e.module != k.module || e.embedding != k.embedding):
		m.fault(i, format.KindDuplicate, "a factor of another kind or module has the same target")
	}
	if !m.named {
		m.name, m.named = k.adapter, true
	}
	e.module, e.embedding = k.module, k.embedding
}

// ordered lists the edits by target.
func (m *matching) ordered() []*edit {
	list := make([]*edit, 0, len(m.edits))
	for _, target := range slices.Sorted(maps.Keys(m.edits)) {
		list = append(list, m.edits[target])
	}
	return list
}

// complete demands both factors of every product.
func (m *matching) complete() {
	for _, e := range m.ordered() {
		switch {
		case e.a == none && e.b != none:
			m.fault(e.b, format.KindKey, "there is no A beside this B")
			delete(m.edits, e.target)
		case e.a != none && e.b == none:
			m.fault(e.a, format.KindKey, "there is no B beside this A")
			delete(m.edits, e.target)
		case e.a != none && e.whole != none && !e.under:
			m.fault(e.whole, format.KindDuplicate, "it replaces a tensor that a product is added to as well")
			delete(m.edits, e.target)
		}
	}
}

// changes turns the edits into changes, in the order of their targets.
func (m *matching) changes() (list []change) {
	for _, e := range m.ordered() {
		c := change{target: e.target, whole: e.whole}
		ok := m.replaces(e)
		if ok && e.a != none {
			ok = m.product(e, &c)
		}
		if ok {
			list = append(list, c)
		}
	}
	return list
}

// replaces checks a whole tensor against the one that it stands for.
func (m *matching) replaces(e *edit) bool {
	if e.whole == none {
		return true
	}
	t, target := m.adapter.Tensors()[e.whole], m.base.Tensors()[e.target]
	switch {
	case !slices.Equal(t.Shape, target.Shape):
		m.fault(e.whole, format.KindShape, "shape %v, but the base's %q has %v", t.Shape, clip(target.Name), target.Shape)
	case t.DType != target.DType && !(summable(t.DType) && summable(target.DType)):
		m.fault(e.whole, format.KindDType, "%v in place of the base's %v", t.DType, target.DType)
	default:
		return true
	}
	return false
}

// summable reports whether a product can be added to elements of a type. To F8 it cannot,
// since a model's scales for it are tensors of their own.
func summable(d format.DType) bool {
	switch d {
	case format.F64, format.F32, format.F16, format.BF16:
		return true
	}
	return false
}

// product checks the factors and fills in c.
func (m *matching) product(e *edit, c *change) bool {
	target := m.base.Tensors()[e.target]
	if e.whole != none {
		target.DType = m.adapter.Tensors()[e.whole].DType
	}
	a, b := m.adapter.Tensors()[e.a], m.adapter.Tensors()[e.b]
	switch r := m.config.rankOf(e.module); {
	case !a.DType.Computable() || !b.DType.Computable():
		m.fault(e.a, format.KindDType, "factors A %v and B %v: weld does not compute with both", a.DType, b.DType)
	case !summable(target.DType):
		m.fault(e.a, format.KindDType, "the base's %q is %v, to which nothing can be added", clip(target.Name), target.DType)
	case len(a.Shape) != 2 || len(b.Shape) != 2:
		m.fault(e.a, format.KindShape, "factors of shapes %v and %v: only those of linear layers and embeddings, with two dimensions, are supported", a.Shape, b.Shape)
	case a.Shape[0] != r || b.Shape[1] != r:
		m.fault(e.a, format.KindShape, "factors A %v and B %v, but %s gives the rank %d", a.Shape, b.Shape, ConfigName, r)
	default:
		return m.fits(e, c, target)
	}
	return false
}

// fits checks the product's shape and fills in c.
func (m *matching) fits(e *edit, c *change, target format.Tensor) bool {
	a, b := m.adapter.Tensors()[e.a], m.adapter.Tensors()[e.b]
	transposed := m.config.fanInFanOut || e.embedding
	shape, other := []int64{b.Shape[0], a.Shape[1]}, []int64{a.Shape[1], b.Shape[0]}
	if transposed {
		shape, other = other, shape
	}
	if !slices.Equal(shape, target.Shape) {
		hint := ""
		if slices.Equal(other, target.Shape) && !e.embedding {
			hint = fmt.Sprintf("; it would fit if fan_in_fan_out were %v", !transposed)
		}
		m.fault(e.a, format.KindShape, "a product of shape %v, but the base's %q has %v%s", shape, clip(target.Name), target.Shape, hint)
		return false
	}
	c.low = &lowRank{
		source: target.DType, shown: format.F32, scale: m.config.scale(e.module),
		rows: shape[0], cols: shape[1], rank: a.Shape[0],
		left: factor{e.b, b.DType, b.Shape[0], false}, right: factor{e.a, a.DType, a.Shape[1], true},
	}
	if transposed {
		c.low.left, c.low.right = c.low.right, c.low.left
	}
	if target.DType == format.F64 {
		c.low.shown = format.F64
	}
	for _, shape := range [][]int64{shape, a.Shape, b.Shape} {
		if _, ok := format.Size(c.low.shown, shape); !ok {
			m.fault(e.a, format.KindOverflow, "shape %v is too large for elements of %v", shape, c.low.shown)
			return false
		}
	}
	return true
}
