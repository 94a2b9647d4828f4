package plan

import "slices"

// This file decides what becomes of scales of a key-value cache. They are nobody's weights: what they were calibrated for goes by the model, and by a
// server that the model's configuration tells to keep its cache so.

// settleCache leaves scales of a cache out of an output whose configuration does not speak of them, and says what became of them.
func (p *planner) settleCache() {
	calibrated := func(t Tensor) bool { return t.Calibrated }
	if !slices.ContainsFunc(p.Tensors, calibrated) {
		return
	}
	p.caches = p.keepsCache()
	for i := range p.Opened {
		in := &p.Opened[i]
		var names []string
		for j := range p.Tensors {
			if t := &p.Tensors[j]; t.Calibrated && t.From == in {
				names = append(names, t.Name)
			}
		}
		switch {
		case len(names) == 0:
		case p.caches:
			p.note("%s: scales of its key-value cache are carried as they are, whatever other models have: they were calibrated for that model; calibrate them anew if the output is to be served with such a cache: %s", in.Path, fewNames(names))
		default:
			p.note("%s: scales of a key-value cache are left out of the output, whose configuration does not speak of such a cache: %s", in.Path, fewNames(names))
		}
	}
	if !p.caches {
		p.Tensors = slices.DeleteFunc(p.Tensors, calibrated)
	}
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
