package plan

import "slices"

// This file decides what becomes of scales of a key-value cache. They are nobody's weights: what they were calibrated for goes by the model, and by a
// server that the model's configuration tells to keep its cache so.

// settleCache leaves scales of a cache out of an output whose configuration does not speak of them, and says what became of them.
func (p *planner) settleCache() {
	calibrated := func(t Tensor) bool { return t.Calibrated }
	i := slices.IndexFunc(p.Tensors, calibrated)
	if i < 0 {
		return
	}
	from, name, before := p.Tensors[i].From.Path, p.Tensors[i].Name, len(p.Tensors)
	if p.caches = p.keepsCache(); !p.caches {
		p.Tensors = slices.DeleteFunc(p.Tensors, calibrated)
		p.note("%s: scales of a key-value cache (%q, %d in all) are left out of the output: its configuration does not speak of such a cache", from, name, before-len(p.Tensors))
		return
	}
	n := 0
	for _, t := range p.Tensors {
		if t.Calibrated {
			n++
		}
	}
	p.note("%s: scales of its key-value cache (%q, %d in all) are carried as they are, whatever other models have: they were calibrated for that model; calibrate them anew if the output is to be served with such a cache", from, name, n)
}

// keepsCache reports whether the output has the scales of the reference's cache: it is stored as that is, and so are all that its tensors come from.
func (p *planner) keepsCache() bool {
	ref := p.Reference()
	switch text := p.Recipe.Params.Text(Quantize.Key); {
	case text != "" && text != quantizeKeep && !p.encodes:
		return false
	case len(ref.decoded) > 0:
		return p.encodes
	}
	return !slices.ContainsFunc(p.Tensors, func(t Tensor) bool { return t.From.terms != ref.terms })
}
