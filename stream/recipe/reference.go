package recipe

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"weld/format"
)

// reference is how a recipe names a model: a path, or name@revision, and the adapters
// that are added to it. Models are the same where they are written the same.
type reference struct {
	path string
	lora []string
}

func (m Model) reference() reference { return reference{m.Path, m.Lora} }

func (x reference) same(y reference) bool { return x.path == y.path && slices.Equal(x.lora, y.lora) }

func (x reference) String() string { return strings.Join(append([]string{x.path}, x.lora...), "+") }

// key is different for different references, for maps.
func (x reference) key() string {
	return strings.Join(append([]string{x.path}, x.lora...), "\x00")
}

// reference reads path+adapter+…; what was written as a mapping has been read
// already.
func (r *resolver) reference(s Setting) reference {
	if s.ref != nil {
		return *s.ref
	}
	if s.Literal || !strings.Contains(s.Text, "+") {
		return reference{path: s.Text}
	}
	parts := r.apart(s)
	if slices.Contains(parts, "") {
		r.report(s.Where, "%q names no model or adapter beside a +; a path that contains + is written {model: {path: …}}", s.Text)
		return reference{path: s.Text}
	}
	return reference{path: parts[0], lora: parts[1:]}.orNone()
}

// orNone has no empty list for no adapters.
func (x reference) orNone() reference {
	if len(x.lora) == 0 {
		x.lora = nil
	}
	return x
}

// apart takes a model and its adapters apart, and notes where a path is read that could be both.
func (r *resolver) apart(s Setting) []string {
	parts := format.Apart(s.Text, r.isThere)
	for _, path := range parts {
		words := strings.Split(path, "+")
		if len(words) > 1 && !slices.ContainsFunc(words, func(word string) bool { return !r.isThere(word) }) {
			r.pass(s.Where, "%q is there, and is read as a path; so are %s: a model with adapters of these names is written {model: PATH, lora: PATH}",
				path, strings.Join(words, ", "))
		}
	}
	return parts
}

func (r *resolver) isThere(path string) bool { return path != "" && r.exists != nil && r.exists(path) }

// node writes a reference so that it reads back as the same.
func (x reference) node() *yaml.Node {
	if !strings.Contains(x.path+strings.Join(x.lora, ""), "+") {
		return scalar(x.String())
	}
	at := func(path string) *yaml.Node {
		n := &yaml.Node{Kind: yaml.MappingNode}
		add(n, "path", scalar(path))
		return n
	}
	node := &yaml.Node{Kind: yaml.MappingNode}
	add(node, "model", at(x.path))
	if len(x.lora) > 0 {
		lora := &yaml.Node{Kind: yaml.SequenceNode}
		for _, path := range x.lora {
			lora.Content = append(lora.Content, at(path))
		}
		add(node, "lora", lora)
	}
	return node
}
