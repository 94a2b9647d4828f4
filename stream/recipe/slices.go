package recipe

import "slices"

// pendingSlice is a slice while it is resolved, or a module that is merged whole.
type pendingSlice struct {
	draft   DraftSlice
	whole   bool
	base    reference
	shared  scopeRules // wider than the sources' own
	module  scopeRules // wider than that; nil for none
	sources []pendingSource
}

// pendingSource is a source of a pending slice.
type pendingSource struct {
	listedModel
	first, last int
	base        bool
}

// slices resolves slices.
func (b *builder) slices() {
	pending := make([]pendingSlice, len(b.draft.Slices))
	for i, s := range b.draft.Slices {
		pending[i] = b.resolveSlice(s)
	}
	b.put(pending)
}

// put makes the recipe's slices of pending ones. Every distinct model is listed once, in the order
// of first mention.
func (b *builder) put(pending []pendingSlice) {
	b.bases(pending)
	index := make(map[string]int)
	var fixed []scopeRules
	for _, p := range pending {
		out := Slice{Whole: p.whole, Where: p.draft.Where}
		if !p.base.same(b.base) {
			out.Base, out.BaseLora = p.base.path, p.base.lora
		}
		for _, s := range p.sources {
			i, known := index[s.key()]
			if !known {
				i = len(b.out.Models)
				index[s.key()] = i
				b.out.Models = append(b.out.Models, Model{Path: s.path, Lora: s.lora, Where: s.where})
				fixed = append(fixed, make(scopeRules))
			}
			b.fix(fixed[i], s)
			out.Sources = append(out.Sources, SliceSource{Model: i, First: s.first, Last: s.last, Base: s.base})
		}
		b.out.Slices = append(b.out.Slices, out)
	}
	b.scope(pending, fixed)
}

// resolveSlice reads one slice and checks what can be seen without the others.
func (b *builder) resolveSlice(d DraftSlice) pendingSlice {
	p := pendingSlice{draft: d, base: b.base, shared: b.collect(b.method, d.Params, ofSlice)}
	if d.Base.given() {
		p.base = b.reference(d.Base)
	}
	for _, s := range d.Sources {
		if s.Path.Text == "" && !s.Path.faulty {
			b.report(s.Path.Where, "a source without a model")
		}
		x := b.reference(s.Path)
		own := b.collect(b.method, s.Params, ofSource)
		p.sources = append(p.sources, pendingSource{listedModel{x, own, s.Path.Where}, s.First, s.Last, b.isBase(x, p.base)})
	}
	b.lengths(p)
	if len(p.sources) > 0 {
		b.countSources(p)
	}
	if b.method.BaseIs == BaseFirst {
		slices.SortStableFunc(p.sources, func(x, y pendingSource) int { return rank(x) - rank(y) })
	}
	return p
}

// rank puts the base first.
func rank(p pendingSource) int {
	if p.base {
		return 0
	}
	return 1
}

// lengths demands as many layers of all sources: the i-th of each become one.
func (b *builder) lengths(p pendingSlice) {
	for _, s := range p.sources {
		first := p.sources[0]
		n, want := s.last-s.first, first.last-first.first
		if n != want && n > 0 && want > 0 {
			b.report(s.where, "the sources of a slice have as many layers each: %d here, %d in %s", n, want, first)
		}
	}
}

// countSources checks the number of a slice's sources.
func (b *builder) countSources(p pendingSlice) {
	counted := p.sources
	bases := 0
	for _, s := range p.sources {
		if s.base {
			if bases++; bases == 2 {
				b.report(s.where, "the base model %s is a source of the slice twice", s)
			}
		}
	}
	if b.method.BaseIs == BaseReference {
		others := slices.DeleteFunc(slices.Clone(counted), func(s pendingSource) bool { return s.base })
		if len(others) > 0 || !b.method.baseAlone() {
			counted = others
		}
	}
	tooMany := p.draft.Where
	if limit := b.method.MaxModels; limit > 0 && len(counted) > limit {
		tooMany = counted[limit].where
	}
	b.count(len(counted), p.draft.Where, tooMany, " in a slice")
}

// bases demands the base among the sources of each slice where the method needs it, or
// where another slice has it: nothing else says which of its layers are meant.
func (b *builder) bases(pending []pendingSlice) {
	has := func(p pendingSlice) bool {
		return slices.ContainsFunc(p.sources, func(s pendingSource) bool { return s.base })
	}
	role := b.method.BaseIs
	needed := b.method.Base == Required || slices.ContainsFunc(pending, has)
	if !needed || (role != BaseReference && role != BaseFirst) {
		return
	}
	for _, p := range pending {
		if !p.whole && p.base.path != "" && len(p.sources) > 0 && !has(p) {
			b.report(p.draft.Where, "the base model %s is no source of this slice: list it with the layer_range that the others are compared with", p.base)
		}
	}
}

// fix keeps what a source says of its model in all slices: paths, and whatever cannot
// differ between tensors.
func (b *builder) fix(fixed scopeRules, s pendingSource) {
	for _, p := range b.method.Params {
		rs, given := s.own[p.Key]
		if !given || !p.fixed() {
			continue
		}
		old, known := fixed[p.Key]
		if known && !old.same(rs) {
			b.report(rs[0].values[0].Where.plain(), "%s of %s is another %s: a model has one in all slices", p.Key, s, old[0].values[0].Where.plain())
			continue
		}
		fixed[p.Key] = rs
	}
}

// scope lays the parameters of sources over those of slices over those of all.
func (b *builder) scope(pending []pendingSlice, fixed []scopeRules) {
	of := make([][]*paramSet, len(b.out.Models))
	b.out.all = b.paramSet(false)
	shared := []*paramSet{b.out.all}
	for i, p := range pending {
		in := scopedParams{shared: share(shared, b.paramSet(false, p.shared, p.module))}
		shared = append(shared, in.shared)
		b.demand(in.shared, false, p.draft.Where, "")
		for k, s := range p.sources {
			m := b.out.Slices[i].Sources[k].Model
			e := share(of[m], b.paramSet(true, fixed[m], s.own, p.shared, p.module))
			of[m] = append(of[m], e)
			in.sources = append(in.sources, e)
			if !s.base || b.method.BaseIs != BaseReference {
				b.demand(e, true, s.where, " of "+s.String())
			}
		}
		b.out.scopes = append(b.out.scopes, in)
	}
	b.out.Params = summary(shared)
	for m := range b.out.Models {
		b.out.Models[m].Params = summary(of[m])
	}
}

// share returns the known set if it gives the same values, so that what depends on
// nothing is one map in all slices.
func share(known []*paramSet, s *paramSet) *paramSet {
	if len(known) > 0 && known[0].same(s) {
		return known[0]
	}
	return s
}
