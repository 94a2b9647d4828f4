package recipe

import (
	"bytes"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"weld/format"
)

// YAML writes the recipe in full, presets and defaults spelled out, in an order that
// depends on nothing but the schema. [Schema.Parse] reads it back as the same
// recipe.
func (r *Recipe) YAML() []byte {
	top := &yaml.Node{Kind: yaml.MappingNode}
	add(top, "merge_method", scalar(r.Method.Name))
	if r.Base != "" {
		add(top, "base_model", reference{r.Base, r.BaseLora}.node())
	}
	switch {
	case r.Modules != nil:
		add(top, "modules", r.modulesNode())
	case r.Slices != nil:
		add(top, "slices", r.slicesNode(0, len(r.Slices)))
	default:
		add(top, "models", r.modelsNode())
	}
	if params := r.Method.render(r.shared()); len(params.Content) > 0 {
		add(top, "parameters", params)
	}
	switch {
	case r.OutDType != format.Invalid:
		add(top, "out_dtype", scalar(r.OutDType.Torch()))
	case r.DType != format.Invalid:
		add(top, "dtype", scalar(r.DType.Torch()))
	}
	if r.Tokenizer != nil {
		add(top, "tokenizer", r.Tokenizer.node(r))
	}
	if r.ChatTemplate != "" {
		add(top, "chat_template", scalar(r.ChatTemplate))
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(top); err != nil {
		panic(err) // a tree of scalars, sequences and mappings always encodes
	}
	return out.Bytes()
}

func (r *Recipe) modelsNode() *yaml.Node {
	models := &yaml.Node{Kind: yaml.SequenceNode}
	for i, m := range r.Models {
		item := &yaml.Node{Kind: yaml.MappingNode}
		add(item, "model", m.reference().node())
		rs := plain(m.Params)
		if len(r.scopes) > 0 {
			rs = r.scopes[0].sources[i].rules
		}
		if params := r.Method.render(rs); len(params.Content) > 0 {
			add(item, "parameters", params)
		}
		models.Content = append(models.Content, item)
	}
	return models
}

func (r *Recipe) modulesNode() *yaml.Node {
	all := &yaml.Node{Kind: yaml.MappingNode}
	for _, m := range r.Modules {
		node := &yaml.Node{Kind: yaml.MappingNode}
		if s := r.Slices[m.First]; s.Whole {
			in := r.scopes[m.First]
			add(node, "models", r.sourcesNode(s, in))
			if params := r.Method.render(differing(in.shared.rules, r.shared())); len(params.Content) > 0 {
				add(node, "parameters", params)
			}
		} else {
			add(node, "slices", r.slicesNode(m.First, m.Last))
		}
		add(all, m.Name, node)
	}
	return all
}

// slicesNode writes the slices from first up to last.
func (r *Recipe) slicesNode(first, last int) *yaml.Node {
	all := &yaml.Node{Kind: yaml.SequenceNode}
	for i := first; i < last; i++ {
		s := r.Slices[i]
		node := &yaml.Node{Kind: yaml.MappingNode}
		add(node, "sources", r.sourcesNode(s, r.scopes[i]))
		if s.Base != "" {
			add(node, "base_model", reference{s.Base, s.BaseLora}.node())
		}
		if params := r.Method.render(differing(r.scopes[i].shared.rules, r.shared())); len(params.Content) > 0 {
			add(node, "parameters", params)
		}
		all.Content = append(all.Content, node)
	}
	return all
}

func (r *Recipe) sourcesNode(s Slice, in scopedParams) *yaml.Node {
	sources := &yaml.Node{Kind: yaml.SequenceNode}
	for k, source := range s.Sources {
		item := &yaml.Node{Kind: yaml.MappingNode}
		add(item, "model", r.Models[source.Model].reference().node())
		if !s.Whole {
			layers := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle, Content: []*yaml.Node{number(source.First), number(source.Last)}}
			add(item, "layer_range", layers)
		}
		if params := r.Method.render(in.sources[k].rules); len(params.Content) > 0 {
			add(item, "parameters", params)
		}
		sources.Content = append(sources.Content, item)
	}
	return sources
}

// shared are the rules of what holds for all models and slices.
func (r *Recipe) shared() scopeRules {
	if r.all == nil { // a recipe that no schema made
		return plain(r.Params)
	}
	return r.all.rules
}

// differing are the rules that are not the wider scope's.
func differing(own, wider scopeRules) scopeRules {
	out := make(scopeRules)
	for key, rs := range own {
		if !rs.same(wider[key]) {
			out[key] = rs
		}
	}
	return out
}

// plain are the rules of values that depend on nothing.
func plain(values Values) scopeRules {
	out := make(scopeRules)
	for key, v := range values {
		out[key] = rules{{values: gradient{v}}}
	}
	return out
}

// render lists parameters in the order of the schema. The preset is spelled out by the
// values that it set.
func (m *MethodSchema) render(l scopeRules) *yaml.Node {
	node := &yaml.Node{Kind: yaml.MappingNode}
	for _, p := range m.Params {
		if rs, ok := l[p.Key]; ok && p.Key != PresetKey {
			add(node, p.Key, p.rulesNode(rs))
		}
	}
	return node
}

// rulesNode writes a value, a gradient, or a list of filters.
func (p Param) rulesNode(rs rules) *yaml.Node {
	if rs[0].filter == "" {
		return p.gradientNode(rs[0].values)
	}
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for _, r := range rs {
		item := &yaml.Node{Kind: yaml.MappingNode}
		if r.filter != "" {
			add(item, "filter", scalar(r.filter))
		}
		add(item, "value", p.gradientNode(r.values))
		list.Content = append(list.Content, item)
	}
	return list
}

func (p Param) gradientNode(g gradient) *yaml.Node {
	list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, v := range g {
		n := scalar(v.Text)
		if p.Kind == Number || p.Kind == Bool {
			n.Style, n.Tag = 0, ""
		}
		list.Content = append(list.Content, n)
	}
	if len(g) == 1 {
		return list.Content[0]
	}
	return list
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

func number(i int) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Value: strconv.Itoa(i)}
}
