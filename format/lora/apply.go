package lora

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

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
	m := newMatching(base, adapter, parsed)
	if m.base, err = m.replicate(base); err != nil {
		return nil, err
	}
	m.gather()
	if m.base, err = m.untie(m.base); err != nil {
		return nil, err
	}
	return m.adapted(config)
}

func newMatching(base, adapter format.Checkpoint, c *config) *matching {
	return &matching{config: c, base: base, adapter: adapter, sites: make(map[siteKey]*moduleSite), edits: make(map[int]*edit)}
}

// adapted shows the base changed by all sites.
func (m *matching) adapted(config []byte) (format.Checkpoint, error) {
	m.names = names.NewFinder(m.base.Tensors(), m.base.Find)
	m.replaceWhole()
	for _, s := range m.ordered() {
		m.build(s)
	}
	layers := m.layers()
	if len(m.faults) > 0 || len(m.adapter.Tensors()) == 0 {
		return nil, m.all()
	}
	return newAdapted(m.base, m.adapter, config, layers, m.notes), nil
}

// matching finds the targets of an adapter's tensors, and what becomes of each.
type matching struct {
	config        *config
	base, adapter format.Checkpoint
	names         *names.Finder
	wholes        []whole
	sites         map[siteKey]*moduleSite
	shared        map[string]int  // tensors that serve all modules, by slot
	edits         map[int]*edit   // by target
	reported      bool            // that the shared matrices are missing
	ways          map[string]ways // how the layers of each stack lie, once it is asked for
	name          string          // of the adapter in its own tensors
	named         bool
	notes         []string
	faults        []fault
}

// fault is what is wrong with a tensor of the adapter.
type fault struct {
	tensor int
	err    error
}

// whole is a tensor that replaces one of the base.
type whole struct {
	tensor int
	key
}

// siteKey names what is wrapped: a module, or one of its parameters.
type siteKey struct {
	module string
	depth  int
}

// moduleSite is a module with the tensors that the adapter has for it.
type moduleSite struct {
	siteKey
	slots map[string]int
	first int // of the tensors, for errors

	cut *cut // where its rows lie in the base, if not in one tensor of its own
}

// edit is what becomes of one tensor of the base.
type edit struct {
	target int
	whole  int // the adapter's tensor that stands for it, or none
	under  bool
	size   grid
	steps  []delta
	by     int // a tensor of the adapter that made a step, for errors
}

const none = -1

// fault notes what is wrong with tensor i of the adapter.
func (m *matching) fault(i int, kind format.Kind, detail string, args ...any) {
	m.faults = append(m.faults, fault{i, &format.Error{
		Path: m.adapter.Path(), Tensor: m.adapter.Tensors()[i].Name, Kind: kind, Detail: fmt.Sprintf(detail, args...),
	}})
}

// all joins the faults in the order of the adapter's tensors.
func (m *matching) all() error {
	if len(m.adapter.Tensors()) == 0 {
		m.faults = append(m.faults, fault{none, &format.Error{Path: m.adapter.Path(), Kind: format.KindKey, Detail: "an adapter without tensors"}})
	}
	slices.SortStableFunc(m.faults, func(a, b fault) int { return cmp.Compare(a.tensor, b.tensor) })
	var errs []error
	for _, f := range m.faults {
		errs = append(errs, f.err)
	}
	return errors.Join(errs...)
}

// gather sorts the adapter's tensors by the modules that they belong to.
func (m *matching) gather() {
	m.shared = make(map[string]int)
	for i, t := range m.adapter.Tensors() {
		k, kind, wrong := parseKey(t.Name)
		if wrong != "" {
			m.fault(i, kind, "%s", wrong)
			continue
		}
		if k.slot == "" {
			m.wholes = append(m.wholes, whole{i, k})
			continue
		}
		m.place(i, k)
	}
}

// place notes that tensor i has a slot.
func (m *matching) place(i int, k key) {
	switch {
	case m.named && m.name != k.adapter:
		m.fault(i, format.KindUnsupported, "the file holds several adapters, %q and %q", clip(m.name), clip(k.adapter))
		return
	case !m.named:
		m.name, m.named = k.adapter, true
	}
	if k.module == "" {
		m.shared[k.slot] = i
		return
	}
	at := siteKey{k.module, k.depth}
	s := m.sites[at]
	if s == nil {
		s = &moduleSite{siteKey: at, slots: make(map[string]int), first: i}
		m.sites[at] = s
	}
	m.put(s, i, k.slot)
}

// ordered lists the sites in the order of the adapter's tensors.
func (m *matching) ordered() []*moduleSite {
	return slices.SortedFunc(maps.Values(m.sites), func(a, b *moduleSite) int { return cmp.Compare(a.first, b.first) })
}

// only demands that a site has the slots that are needed, and beside them no others than may be.
func (m *matching) only(s *moduleSite, needed, allowed []string) bool {
	ok := true
	for _, slot := range needed {
		if _, has := s.slots[slot]; !has {
			m.fault(s.first, format.KindKey, "there is no %s beside it", slot)
			ok = false
		}
	}
	for slot, i := range s.slots {
		if !slices.Contains(needed, slot) && !slices.Contains(allowed, slot) {
			m.fault(i, format.KindUnsupported, "%s does not belong to %s, or not beside the module's other tensors", slot, m.kindOfAdapter())
			ok = false
		}
	}
	return ok
}

// kindOfAdapter is what a site's tensors belong to, for errors.
func (m *matching) kindOfAdapter() string {
	if m.config.own != nil {
		return "a module of this kind"
	}
	return fmt.Sprintf("an adapter of peft_type %q", m.config.method)
}

// look finds a tensor of the base that need not be there.
func (m *matching) look(name string) (target int, ok bool) {
	target, doubt, ok := m.names.Find(name)
	return target, ok && len(doubt) == 0
}

// find finds a tensor of the base.
func (m *matching) find(by int, name string) (target int, ok bool) {
	target, doubt, ok := m.names.Find(name)
	part, strange := strangeIn(name)
	switch {
	case len(doubt) > 0:
		m.fault(by, format.KindNames, "%q could be %q or %q of %s; weld does not choose", clip(name), clip(doubt[0]), clip(doubt[1]), m.base.Path())
		return 0, false
	case ok:
		return target, true
	case strange:
		m.fault(by, format.KindUnsupported, "nothing that weld knows of adapters: %s", clip(part))
	default:
		m.fault(by, format.KindKey, "%s has no tensor %q (one that shares another's bytes is not stored)", m.base.Path(), clip(name))
	}
	return 0, false
}

// replaceWhole notes the tensors that replace others.
func (m *matching) replaceWhole() {
	for _, w := range m.wholes {
		if target, ok := m.find(w.tensor, w.target); ok && m.replaces(w, target) {
			e := m.edit(target, w.tensor)
			if e.whole != none {
				m.fault(w.tensor, format.KindDuplicate, "%q does the same", clip(m.adapter.Tensors()[e.whole].Name))
				continue
			}
			// Biases that were trained lie inside of their layer's wrapper, where nothing need be added.
			e.whole, e.under = w.tensor, w.under || strings.HasSuffix(w.target, ".bias")
		}
	}
}

// replaces checks a whole tensor against the one that it stands for.
func (m *matching) replaces(w whole, target int) bool {
	t, of := m.adapter.Tensors()[w.tensor], m.base.Tensors()[target]
	switch {
	case !slices.Equal(t.Shape, of.Shape):
		m.fault(w.tensor, format.KindShape, "shape %v, but the base's %q has %v", t.Shape, clip(of.Name), of.Shape)
	case t.DType != of.DType && !(summable(t.DType) && summable(of.DType)):
		m.fault(w.tensor, format.KindDType, "%v in place of the base's %v", t.DType, of.DType)
	default:
		return true
	}
	return false
}

func (m *matching) edit(target, by int) *edit {
	e := m.edits[target]
	if e == nil {
		e = &edit{target: target, whole: none, by: by}
		m.edits[target] = e
	}
	return e
}

// change notes a step of a tensor, which is seen as a grid. A tensor is changed by one module alone, but for bands of its rows.
func (m *matching) change(target, by int, size grid, d delta) {
	e := m.edit(target, by)
	t := m.base.Tensors()[target]
	if e.whole != none {
		t.DType = m.adapter.Tensors()[e.whole].DType
	}
	switch {
	case !e.apart(d):
		m.fault(by, format.KindDuplicate, "%q changes the same tensor %q", clip(m.adapter.Tensors()[e.by].Name), clip(t.Name))
		return
	case e.whole != none && !e.under:
		m.fault(e.whole, format.KindDuplicate, "it replaces a tensor that is changed by the adapter as well")
		return
	case !summable(t.DType):
		m.fault(by, format.KindDType, "the base's %q is %v, which weld cannot change", clip(t.Name), t.DType)
		return
	}
	for _, i := range d.reads() {
		a := m.adapter.Tensors()[i]
		if !a.DType.Computable() {
			m.fault(i, format.KindDType, "%v: weld does not compute with it", a.DType)
			return
		}
		if _, ok := format.Size(format.F64, a.Shape); !ok {
			m.fault(i, format.KindOverflow, "shape %v is too large to compute with", a.Shape)
			return
		}
	}
	e.by, e.size, e.steps = by, size, append(e.steps, d)
}

// layers are the changed tensors, in the order of their targets.
func (m *matching) layers() (list []shownTensor) {
	for _, target := range slices.Sorted(maps.Keys(m.edits)) {
		e := m.edits[target]
		s := shownTensor{target: target, whole: e.whole}
		if len(e.steps) > 0 {
			s.layer = m.layerOf(e)
		}
		list = append(list, s)
	}
	return list
}

func (m *matching) layerOf(e *edit) *layer {
	l := &layer{from: m.base, tensor: e.target, size: e.size, steps: e.steps}
	if e.whole != none {
		l.from, l.tensor = m.adapter, e.whole
	}
	l.source = l.from.Tensors()[l.tensor].DType
	l.shown = format.F32
	if l.source == format.F64 {
		l.shown = format.F64
	}
	if _, ok := format.Size(l.shown, m.base.Tensors()[e.target].Shape); !ok {
		m.fault(e.by, format.KindOverflow, "%q is too large for elements of %v", clip(m.base.Tensors()[e.target].Name), l.shown)
	}
	return l
}

// summable reports whether weld changes tensors of a type. F8 it does not,
// since a model's scales for it are tensors of their own.
func summable(d format.DType) bool {
	switch d {
	case format.F64, format.F32, format.F16, format.BF16:
		return true
	}
	return false
}
