package recipe

import (
	"go.yaml.in/yaml/v3"

	"weld/internal/spelling"
)

// referenceNode reads a model, which is a word or a mapping.
func (r *resolver) referenceNode(key string, n *yaml.Node) Setting {
	n = r.follow(n)
	if n.Kind != yaml.MappingNode {
		return r.setting(key, n)
	}
	s := Setting{Key: key, Where: Position{Line: n.Line}, ref: &reference{}}
	before, named := len(r.problems), false
	r.mapping(n, "a model", func(key string, where Position, value *yaml.Node) {
		switch key {
		case "model":
			s.ref.path, named = r.located("model", value), true
		case "lora":
			s.ref.lora = r.adapters(value)
		default:
			if r.passed(key, where, "override_architecture") {
				return
			}
			keys := []string{"model", "lora"}
			r.report(where, "unknown key %q in a model that is written as a mapping%s: %s", key, spelling.Hint(key, keys), choose(keys))
		}
	})
	if !named && len(r.problems) == before {
		r.report(s.Where, "a model that is written as a mapping names none: {model: PATH, lora: PATH}")
	}
	s.Text, s.faulty = s.ref.path, len(r.problems) > before
	return s
}

// adapters reads one adapter, or a list of them.
func (r *resolver) adapters(n *yaml.Node) []string {
	n = r.follow(n)
	switch {
	case null(n):
		return nil
	case n.Kind != yaml.SequenceNode:
		return []string{r.located("lora", n)}
	}
	var all []string
	for _, item := range n.Content {
		if !r.spend(item) {
			break
		}
		all = append(all, r.located("lora", item))
	}
	return all
}

// located reads a path, or {path, revision}. A + in it is a letter like any other.
func (r *resolver) located(key string, n *yaml.Node) string {
	n = r.follow(n)
	var path, revision string
	faulty := false
	if n.Kind != yaml.MappingNode {
		s := r.setting(key, n)
		path, faulty = s.Text, s.faulty
	} else {
		r.mapping(n, key, func(k string, where Position, value *yaml.Node) {
			switch {
			case k != "path" && k != "revision":
				keys := []string{"path", "revision"}
				r.report(where, "unknown key %q of %s%s: %s", k, key, spelling.Hint(k, keys), choose(keys))
				faulty = true
			case k == "path":
				s := r.setting(k, value)
				path, faulty = s.Text, faulty || s.faulty
			case !null(r.follow(value)):
				revision = r.setting(k, value).Text
			}
		})
	}
	if path == "" && !faulty {
		r.report(Position{Line: n.Line}, "%s without a path", key)
	}
	if revision != "" {
		path += "@" + revision
	}
	return path
}
