package recipe

import (
	"slices"
	"strings"

	"weld/internal/spelling"
)

// scope is how wide a setting holds.
type scope int

const (
	ofAll    scope = iota
	ofModule       // of several
	ofSlice
	ofModel
	ofSource // of a slice
)

// allows reports whether a key may stand among the parameters of a scope.
func (s scope) allows(p Param) bool {
	switch s {
	case ofModel, ofSource:
		return p.PerModel
	case ofModule, ofSlice:
		return !p.fixed()
	}
	return true
}

// scopeRules is what one scope says, by key.
type scopeRules map[string]rules

// collect reads the settings of a scope.
func (r *resolver) collect(m *MethodSchema, settings []Setting, s scope) scopeRules {
	out := make(scopeRules)
	first := make(map[string]Position)
	for _, set := range settings {
		p, known := m.param(set.Key)
		switch {
		case set.faulty:
			continue
		case !known && !m.Own && set.Where.Flag == "" && r.schema.foreign(set.Key):
			r.pass(set.Where, "%s has no effect: %s has no such parameter", set.Key, m.Name)
			continue
		case !known && r.passed(set.Key, set.Where, "random_seed", "smooth", "allow_negative_weights", "embed_slerp", "pad_to_multiple_of", "dtype", "out_dtype"):
			continue
		case !known && set.Where.Flag != "" && len(r.schema.With(set.Key)) > 0:
			r.report(set.Where, "%s has no parameter %q; methods that have it: %s", m.Name, set.Key, strings.Join(r.schema.With(set.Key), ", "))
			continue
		case !known:
			keys := m.keys(s)
			r.report(set.Where, "unknown parameter %q of %s%s: %s", set.Key, m.Name, spelling.Hint(set.Key, keys), choose(keys))
			continue
		case !s.allows(p) && p.shared() && !m.Own:
			r.pass(set.Where, "%s has no effect here: it is shared by all models, and belongs among the global parameters", set.Key)
			continue
		case !s.allows(p):
			r.report(set.Where, "%q %s", set.Key, p.belongs(s))
			continue
		}
		if old, twice := first[set.Key]; twice {
			r.report(set.Where, "%q is given twice (first %s)", set.Key, old)
			continue
		}
		first[set.Key] = set.Where
		if rs := r.values(p, set, s); len(rs) > 0 {
			out[set.Key] = rs
		}
	}
	return out
}

// belongs says where a key should stand that was found in too narrow a scope.
func (p Param) belongs(found scope) string {
	switch {
	case p.fixed() && p.PerModel:
		return "holds for a model in all slices: it belongs among the parameters of a source, or the global ones"
	case found == ofSource && !p.fixed():
		return "is shared by the sources of a slice: it belongs among the parameters of the slice, or the global ones"
	}
	return "holds for the whole merge: it belongs among the global parameters"
}

// values reads a setting: one value, or gradients behind filters. nil if it is wrong,
// which is reported.
func (r *resolver) values(p Param, s Setting, in scope) rules {
	words := s.rules
	switch {
	case len(words) == 0:
		words = []filterTexts{{texts: []string{s.Text}, lines: []int{s.Where.Line}}}
	case p.fixed():
		r.report(s.Where, "%s takes one value, not a list or a mapping", s.Key)
		return nil
	}
	var all rules
	right := true
	for _, w := range words {
		g, ok := r.parsed(p, s, w, in)
		right = right && ok
		all = append(all, filterRule{filter: w.filter, kind: p.Kind, values: g})
	}
	if !right {
		return nil
	}
	return r.decisive(s.Key, all)
}

// decisive are the rules of a list without those that can never decide, which are noted.
func (r *resolver) decisive(key string, all rules) (out rules) {
	for _, x := range all {
		if next := out.then(rules{x}); len(next) > len(out) {
			out = next
			continue
		}
		before := out[slices.IndexFunc(out, func(b filterRule) bool { return strings.Contains(x.filter, b.filter) })]
		r.pass(x.values[0].Where.plain(), "%s %s has no effect: %s stands before it, and the first that matches decides", key, x.name(), before.name())
	}
	return out
}

// parsed understands the values of a gradient.
func (r *resolver) parsed(p Param, s Setting, w filterTexts, in scope) (g gradient, ok bool) {
	ok = true
	for i, text := range w.texts {
		v, err := p.parse(text)
		v.Where = s.Where
		v.Where.Line, v.Where.OfModel = w.lines[i], in == ofModel || in == ofSource
		if err != nil {
			r.report(v.Where.plain(), "%s: %v", s.Key, err)
			ok = false
		}
		g = append(g, v)
	}
	switch {
	case !ok:
		return nil, false
	case g.flat(p.Kind):
		return g[:1], true
	case p.Integer:
		r.report(s.Where, "%s is a whole number and cannot run through a gradient: give one value", s.Key)
		return nil, false
	}
	return g, true
}

// Keys that have a meaning outside of the method that they belong to.
const (
	PresetKey     = "preset"     // names a preset
	ImportanceKey = "importance" // of a model: its importance file
)
