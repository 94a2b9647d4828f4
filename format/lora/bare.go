package lora

import (
	"math"

	"weld/format"
)

// Adapters of diffusion models come in one file, without a configuration: names say what each tensor is for, and a
// module's scale alpha/rank is that of its own tensors. The names are those of kohya-ss/sd-scripts, which LyCORIS shares
// (kohya_names.go), those of diffusers (diffusers_names.go), and for Flux and Stable Diffusion 3 those of the original programs (original_names.go).

// bareKey is what the name of a tensor of such an adapter says.
type bareKey struct {
	part   string // of a pipeline that the module belongs to, as the file calls it: lora_unet, text_encoder
	module string // without the part
	flat   bool   // the module has _ where its own name has dots
	slot   string
}

// parseBare reads a name; ok is false for one in neither layout, wrong says what is the matter with one that is.
func parseBare(name string) (k bareKey, wrong string, ok bool) {
	if k, wrong, ok = parseKohya(name); ok {
		return k, wrong, true
	}
	if k, wrong, ok = parseDiffusers(name); ok {
		return k, wrong, true
	}
	return parseOriginal(name)
}

// Bare reports whether a checkpoint is an adapter that needs no configuration. One name that only such adapters have
// makes it one; what else it holds is for [ApplyBare] to refuse. A model may have an alpha as well.
func Bare(c format.Checkpoint) bool {
	for _, t := range c.Tensors() {
		if k, _, ok := parseBare(t.Name); ok && k.slot != "alpha" {
			return true
		}
	}
	return false
}

// ApplyBare is [Apply] for an adapter without a configuration.
func ApplyBare(base, adapter format.Checkpoint) (format.Checkpoint, error) {
	m := newMatching(base, adapter, &config{own: make(map[string]figures)})
	m.gatherBare()
	return m.adapted(nil)
}

// figures are what a module's own tensors say of it.
type figures struct {
	rank  int64 // 0 where it has no factors
	scale float64
}

// bareModule is a module as the file names it.
type bareModule struct{ part, module string }

// gatherBare sorts the tensors by modules of the base.
func (m *matching) gatherBare() {
	found := make(map[bareModule]*moduleSite)
	houses := newHouses(m.base, m.adapter)
	for i, t := range m.adapter.Tensors() {
		k, wrong, ok := parseBare(t.Name)
		switch {
		case !ok:
			m.fault(i, format.KindUnsupported, "the name is none of kohya-ss/sd-scripts', LyCORIS', diffusers' or the original program's, as others in the file are")
			continue
		case wrong != "":
			m.fault(i, format.KindUnsupported, "%s", wrong)
			continue
		}
		at := bareModule{k.part, k.module}
		s, known := found[at]
		if !known {
			s = m.settled(i, houses, k)
			found[at] = s
		}
		if s != nil {
			m.put(s, i, k.slot)
		}
	}
	for _, s := range m.ordered() {
		m.measure(s)
	}
	m.declared(found)
}

// settled makes the site of a module, or notes why there is none.
func (m *matching) settled(i int, houses *houses, k bareKey) *moduleSite {
	where, kind, wrong := houses.find(k)
	if wrong != "" {
		m.fault(i, kind, "%s", wrong)
		return nil
	}
	at := siteKey{module: where.module}
	if other := m.sites[at]; other != nil {
		m.fault(i, format.KindDuplicate, "%q is for the same module %q", clip(m.adapter.Tensors()[other.first].Name), clip(where.module))
		return nil
	}
	s := &moduleSite{siteKey: at, slots: make(map[string]int), first: i, cut: where.cut}
	m.sites[at] = s
	return s
}

// put notes that tensor i has a slot of a site.
func (m *matching) put(s *moduleSite, i int, slot string) {
	if other, twice := s.slots[slot]; twice {
		m.fault(i, format.KindDuplicate, "%q does the same", clip(m.adapter.Tensors()[other].Name))
		return
	}
	s.slots[slot] = i
}

// measure reads rank and scale of a site. Without alpha the scale is 1, as all of these programs have it.
func (m *matching) measure(s *moduleSite) {
	f := figures{rank: m.ownRank(s), scale: 1}
	defer func() { m.config.own[s.module] = f }()
	i, ok := s.slots["alpha"]
	if !ok {
		return
	}
	alpha, ok := m.alpha(i)
	switch {
	case !ok, f.rank == 0: // no factor, or two whole matrices, which LyCORIS does not scale
	case f.rank > maxRank:
		m.fault(s.first, format.KindShape, "a rank of %d is over the limit of %d", f.rank, maxRank)
	default:
		f.scale = alpha / float64(f.rank)
	}
}

// rankOf names, for a slot, the dimension of its tensor that is the rank.
var rankOf = []struct {
	slot string
	dim  int
}{
	{"lora_A", 0}, {"hada_w1_b", 0}, {"lokr_w1_b", 0}, {"lokr_w2_b", 0},
}

// ownRank is the rank that a site's tensors have; the method demands it of all of them.
func (m *matching) ownRank(s *moduleSite) int64 {
	for _, r := range rankOf {
		if i, ok := s.slots[r.slot]; ok && len(m.shape(i)) > r.dim {
			return m.shape(i)[r.dim]
		}
	}
	return 0
}

// alpha reads the number that a tensor is.
func (m *matching) alpha(i int) (float64, bool) {
	t := m.adapter.Tensors()[i]
	if t.Elements() != 1 || !t.DType.Computable() {
		m.fault(i, format.KindShape, "%v %v, where alpha is one number", t.DType, t.Shape)
		return 0, false
	}
	var x [1]float64
	if err := read(m.adapter, i, t.DType, x[:], 0); err != nil {
		m.faults = append(m.faults, fault{i, err})
		return 0, false
	}
	switch {
	case math.IsNaN(x[0]) || math.IsInf(x[0], 0):
		m.fault(i, format.KindUnsupported, "alpha is %v, which scales nothing", x[0])
	case x[0] == 0:
		m.fault(i, format.KindUnsupported, "alpha is 0: to kohya-ss and LyCORIS that stands for the rank, to others for nothing at all; write the alpha that is meant")
	default:
		return x[0], true
	}
	return 0, false
}
