package recipe

import (
	"bytes"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// YAML writes the recipe in full, presets and defaults spelled out, in an order that
// depends on nothing but the schema. [Schema.Parse] reads it back as the same
// recipe.
func (r *Recipe) YAML() []byte {
	top := &yaml.Node{Kind: yaml.MappingNode}
	add(top, "merge_method", scalar(r.Method.Name))
	if r.Base != "" {
		add(top, "base_model", scalar(r.Base))
	}
	models := &yaml.Node{Kind: yaml.SequenceNode}
	for _, m := range r.Models {
		item := &yaml.Node{Kind: yaml.MappingNode}
		add(item, "model", scalar(m.Path))
		if params := r.Method.render(m.Params); len(params.Content) > 0 {
			add(item, "parameters", params)
		}
		models.Content = append(models.Content, item)
	}
	add(top, "models", models)
	if params := r.Method.render(r.Params); len(params.Content) > 0 {
		add(top, "parameters", params)
	}
	if torch := r.DType.Torch(); torch != "" {
		add(top, "out_dtype", scalar(torch))
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(top); err != nil {
		panic(err) // a tree of scalars, sequences and mappings always encodes
	}
	return out.Bytes()
}

// render lists values in the order of the schema. The preset is spelled out by the
// values that it set.
func (m *Method) render(values Values) *yaml.Node {
	node := &yaml.Node{Kind: yaml.MappingNode}
	for _, p := range m.Params {
		if v, ok := values[p.Key]; ok && p.Key != PresetKey {
			n := scalar(v.Text)
			if p.Kind == Number || p.Kind == Bool {
				n.Style, n.Tag = 0, ""
			}
			add(node, p.Key, n)
		}
	}
	return node
}

func add(mapping *yaml.Node, key string, value *yaml.Node) {
	mapping.Content = append(mapping.Content, scalar(key), value)
}

// scalar is a string; the encoder quotes it where it could be read as something
// else. What is not printable, line breaks above all, is escaped: other styles do not
// keep it.
func scalar(text string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(text)
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}
