package recipe

// modules resolves several modules: each is slices of its own, or is merged whole.
func (b *builder) modules() {
	var pending []pendingSlice
	for _, m := range b.draft.Modules {
		said := b.collect(b.method, m.Params, ofModule)
		first := len(pending)
		switch {
		case m.faulty:
		case len(m.Slices) > 0:
			for _, s := range m.Slices {
				p := b.resolveSlice(s)
				p.module = said
				pending = append(pending, p)
			}
		default:
			pending = append(pending, b.whole(m, said))
		}
		b.out.Modules = append(b.out.Modules, Module{Name: m.Name, First: first, Last: len(pending), Where: m.Where})
	}
	b.put(pending)
}

// whole reads the models of a module. The base stands among them where the method wants it, as in
// a recipe that has models and no modules.
func (b *builder) whole(m DraftModule, said scopeRules) pendingSlice {
	p := pendingSlice{whole: true, base: b.base, module: said, draft: DraftSlice{Where: m.Where}}
	all := b.listedModels(m.Models)
	for _, x := range b.withBase(all) {
		p.sources = append(p.sources, pendingSource{listedModel: x, base: b.isBase(x.reference, b.base)})
	}
	switch n := len(p.sources); {
	case n == 0:
		b.report(m.Where, "module %q: no model is given besides the base model", m.Name)
	default:
		b.count(n, m.Where, p.sources[max(0, min(n-1, b.method.MaxModels))].where, " in module "+m.Name)
	}
	return p
}
