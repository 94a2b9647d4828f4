package recipe

import (
	"go.yaml.in/yaml/v3"

	"weld/internal/spelling"
)

// settings reads parameters.
func (r *resolver) settings(n *yaml.Node) []Setting {
	if null(r.follow(n)) {
		return nil
	}
	var all []Setting
	r.mapping(n, "parameters", func(key string, _ Position, value *yaml.Node) {
		all = append(all, r.parameter(key, value))
	})
	return all
}

// parameter reads a value, a gradient, or filters.
func (r *resolver) parameter(key string, n *yaml.Node) Setting {
	n = r.follow(n)
	s := Setting{Key: key, Where: Position{Line: n.Line}}
	switch {
	case n.Kind == yaml.ScalarNode:
		return r.setting(key, n)
	case n.Kind == yaml.MappingNode:
		w, ok := r.filtered(key, n)
		s.rules, s.faulty = []filterTexts{w}, !ok
	case r.filters(n):
		for _, item := range n.Content {
			w, ok := r.filtered(key, item)
			s.rules, s.faulty = append(s.rules, w), s.faulty || !ok
		}
	default:
		w, ok := r.gradient(key, n)
		s.rules, s.faulty = []filterTexts{w}, !ok
	}
	return s
}

// filters reports a list of filters; what is not one is read as a gradient.
func (r *resolver) filters(n *yaml.Node) bool {
	for _, item := range n.Content {
		if r.follow(item).Kind == yaml.MappingNode {
			return true
		}
	}
	return false
}

// filtered reads {filter: PART OF A NAME, value: VALUE OR GRADIENT}.
func (r *resolver) filtered(key string, n *yaml.Node) (w filterTexts, ok bool) {
	if !r.spend(n) {
		return w, false
	}
	if n = r.follow(n); n.Kind != yaml.MappingNode {
		r.report(Position{Line: n.Line}, "%s mixes values and filters: a list holds either the values of a gradient, or {filter: PART OF A NAME, value: …}", key)
		return w, false
	}
	before, valued, filter := len(r.problems), false, ""
	r.mapping(n, key, func(k string, where Position, value *yaml.Node) {
		switch k {
		case "filter":
			filter = r.optional(k, value, r.setting).Text
		case "value":
			w, _ = r.gradient(key, value)
			valued = true
		default:
			keys := []string{"filter", "value"}
			r.report(where, "unknown key %q of %s%s: %s", k, key, spelling.Hint(k, keys), choose(keys))
		}
	})
	if !valued {
		r.report(Position{Line: n.Line}, "%s has a mapping without a value: {filter: PART OF A NAME, value: …}", key)
	}
	if w.filter = filter; filter == "*" {
		w.filter = "" // mergekit's word for every name
	}
	return w, len(r.problems) == before
}

// gradient reads one value, or a list of them.
func (r *resolver) gradient(key string, n *yaml.Node) (w filterTexts, ok bool) {
	n = r.follow(n)
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	if len(items) == 0 {
		r.report(Position{Line: n.Line}, "%s is an empty list: a gradient has at least one value", key)
		return w, false
	}
	ok = true
	for _, item := range items {
		if !r.spend(item) {
			return w, false
		}
		s := r.setting(key, item)
		w.texts, w.lines = append(w.texts, s.Text), append(w.lines, s.Where.Line)
		ok = ok && !s.faulty
	}
	return w, ok
}

// optional reads a key for which null means that it is not there.
func (r *resolver) optional(key string, n *yaml.Node, read func(string, *yaml.Node) Setting) Setting {
	if null(r.follow(n)) {
		return Setting{}
	}
	return read(key, n)
}

// null reports YAML's null, also by the names ~ and nothing.
func null(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// setting reads one scalar.
func (r *resolver) setting(key string, n *yaml.Node) Setting {
	n = r.follow(n)
	s := Setting{Key: key, Where: Position{Line: n.Line}, faulty: true}
	switch {
	case n.Kind != yaml.ScalarNode:
		r.report(s.Where, "%s takes one value, not a list or a mapping", key)
	case n.Tag == "!!null":
		r.report(s.Where, "%s has no value", key)
	default:
		s.Text, s.faulty = n.Value, false
	}
	return s
}
