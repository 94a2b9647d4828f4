package recipe

import "slices"

// listedModel is an entry of the list of models, or the base put among them.
type listedModel struct {
	reference
	own   scopeRules
	where Position
}

// models reads the list of models. Parameters of a base that is passed over are checked and
// have no effect, as in mergekit.
func (b *builder) models() {
	all := b.listedModels(b.draft.Models)
	given := len(all)
	all = b.withBase(all)
	switch n := len(all); {
	case b.draft.noModels:
	case given == 0:
		b.report(b.draft.Method.Where, "no model is given (%s)", spelled(b.draft, "models: [{model: PATH}, …]", "--model PATH"))
	case n == 0:
		b.report(b.draft.Method.Where, "no model is given besides the base model")
	default:
		b.count(n, b.draft.Method.Where, all[max(0, min(n-1, b.method.MaxModels))].where, "")
	}
	b.defaults = b.method.defaults(b.occasion(all))
	in := scopedParams{shared: b.paramSet(false)}
	for _, m := range all {
		e := b.paramSet(true, m.own)
		b.demand(e, true, m.where, " of "+m.String())
		in.sources = append(in.sources, e)
		b.out.Models = append(b.out.Models, Model{Path: m.path, Lora: m.lora, Where: m.where, Params: summary([]*paramSet{e})})
	}
	b.demand(in.shared, false, b.draft.Method.Where, "")
	b.out.Params = summary([]*paramSet{in.shared})
	b.out.scopes, b.out.all = []scopedParams{in}, in.shared
}

// listedModels reads a list of models.
func (b *builder) listedModels(models []DraftModel) (all []listedModel) {
	for _, m := range models {
		if m.Path.Text == "" && !m.Path.faulty {
			b.report(m.Path.Where, "a model without a path")
		}
		own := b.collect(b.method, m.Params, ofModel)
		all = append(all, listedModel{b.reference(m.Path), own, m.Path.Where})
	}
	return all
}

// withBase puts the base where the method wants it.
func (b *builder) withBase(all []listedModel) []listedModel {
	isBase := func(m listedModel) bool { return b.isBase(m.reference, b.base) }
	if b.base.path == "" || len(all) == 0 || b.method.BaseToo {
		return all
	}
	base := listedModel{b.base, nil, b.draft.Base.Where}
	at := slices.IndexFunc(all, isBase)
	switch b.method.BaseIs {
	case BaseReference:
		if others := slices.DeleteFunc(slices.Clone(all), isBase); len(others) > 0 || !b.method.baseAlone() {
			return others
		}
		return all[:1]
	case BaseModel:
		if at < 0 {
			return append(all, base)
		}
	case BaseFirst:
		if at >= 0 {
			base = all[at]
			all = slices.Delete(all, at, at+1)
		}
		return slices.Insert(all, 0, base)
	}
	return all
}
