package recipe

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// MaxSize is the most bytes that a recipe may have.
const MaxSize = 1 << 20

// aliasDepth bounds how far an alias is followed.
const aliasDepth = 32

// later lists keys of mergekit's recipes that weld does not have yet, so that the
// message is a better one than "unknown".
var later = map[string]bool{
	"slices": true, "modules": true, "tokenizer_source": true, "tokenizer": true, "chat_template": true,
}

// Parse reads a recipe in YAML; origin is its name in messages. The error is
// [Problems].
func (s Schema) Parse(origin string, data []byte) (*Recipe, error) {
	r := &resolver{origin: origin}
	if len(data) > MaxSize {
		r.report(Place{}, "a recipe of %d bytes is over the limit of %d", len(data), MaxSize)
		return nil, r.err()
	}
	var doc, more yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	switch err := decoder.Decode(&doc); {
	case errors.Is(err, io.EOF):
		r.report(Place{}, "the recipe is empty")
		return nil, r.err()
	case err != nil:
		r.syntax(err)
		return nil, r.err()
	}
	if err := decoder.Decode(&more); err == nil {
		r.report(Place{Line: more.Line}, "a second document: a file holds one recipe")
	} else if !errors.Is(err, io.EOF) {
		r.syntax(err)
	}
	var recipe *Recipe
	if draft := r.draft(doc.Content[0]); draft != nil {
		recipe = s.resolve(r, draft)
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	return recipe, nil
}

var (
	yamlLine = regexp.MustCompile(`^yaml: (?:.*?\n\s*)?line (\d+): (.*)`)
	// countedFromZero are the messages of the library's parser, which counts lines from
	// 0; its scanner counts them from 1.
	countedFromZero = regexp.MustCompile(`^(did not find expected (<|node|'-'|key|',')|found duplicate %|found undefined tag handle|found incompatible)`)
)

func (r *resolver) syntax(err error) {
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ := strconv.Atoi(m[1])
		if countedFromZero.MatchString(m[2]) {
			line++
		}
		r.report(Place{Line: line}, "not YAML: %s", m[2])
		return
	}
	r.report(Place{}, "not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
}

// draft reads the top level; nil if there is nothing to read.
func (r *resolver) draft(n *yaml.Node) *Draft {
	if n.Tag == "!!null" {
		r.report(Place{}, "the recipe is empty")
		return nil
	}
	d := &Draft{Origin: r.origin}
	var dtype, outDType Setting
	ok := r.mapping(n, "a recipe", func(key string, where Place, value *yaml.Node) {
		switch key {
		case "merge_method":
			d.Method = r.setting(key, value)
		case "base_model":
			d.Base = r.setting(key, value)
		case "dtype":
			dtype = r.setting(key, value)
		case "out_dtype":
			outDType = r.setting(key, value)
		case "parameters":
			d.Params = r.settings(value)
		case "models":
			d.Models, d.noModels = r.models(value)
		default:
			if later[key] {
				r.report(where, "%q is not supported yet", key)
				return
			}
			keys := []string{"merge_method", "base_model", "models", "parameters", "dtype", "out_dtype"}
			r.report(where, "unknown key %q%s: %s", key, hint(key, keys), choose(keys))
		}
	})
	if !ok {
		return nil
	}
	d.DType = dtype
	if outDType.Text != "" {
		d.DType = outDType
	}
	return d
}

// models reads the list of models; faulty if there is none.
func (r *resolver) models(n *yaml.Node) (models []DraftModel, faulty bool) {
	n = r.follow(n)
	if n.Kind != yaml.SequenceNode {
		r.report(Place{Line: n.Line}, "models is a list: - model: PATH …")
		return nil, true
	}
	for _, item := range n.Content {
		m := DraftModel{Path: Setting{Key: "model", Where: Place{Line: item.Line}}}
		ok := r.mapping(item, "a model", func(key string, where Place, value *yaml.Node) {
			switch key {
			case "model":
				m.Path = r.setting(key, value)
			case "parameters":
				m.Params = r.settings(value)
			default:
				r.report(where, "unknown key %q of a model: choose from model, parameters; everything else belongs under parameters", key)
			}
		})
		m.Path.faulty = m.Path.faulty || !ok
		models = append(models, m)
	}
	return models, false
}

// settings reads a mapping of scalars.
func (r *resolver) settings(n *yaml.Node) []Setting {
	var all []Setting
	r.mapping(n, "parameters", func(key string, _ Place, value *yaml.Node) {
		all = append(all, r.setting(key, value))
	})
	return all
}

// setting reads one scalar.
func (r *resolver) setting(key string, n *yaml.Node) Setting {
	n = r.follow(n)
	s := Setting{Key: key, Where: Place{Line: n.Line}, faulty: true}
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

// mapping visits the keys of a mapping in order; a key that stands twice is a
// problem. ok is false where there is no mapping.
func (r *resolver) mapping(n *yaml.Node, what string, visit func(key string, where Place, value *yaml.Node)) (ok bool) {
	n = r.follow(n)
	if n.Kind != yaml.MappingNode {
		r.report(Place{Line: n.Line}, "%s is a mapping of keys to values", what)
		return false
	}
	seen := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		where := Place{Line: key.Line}
		if key.Kind != yaml.ScalarNode {
			r.report(where, "a key of %s is not a word", what)
			continue
		}
		if line, twice := seen[key.Value]; twice {
			r.report(where, "key %q is given twice (first on line %d)", key.Value, line)
			continue
		}
		seen[key.Value] = key.Line
		visit(key.Value, where, value)
	}
	return true
}

// follow resolves aliases.
func (r *resolver) follow(n *yaml.Node) *yaml.Node {
	for depth := 0; n.Kind == yaml.AliasNode; depth++ {
		if depth == aliasDepth {
			r.report(Place{Line: n.Line}, "alias *%s leads nowhere", n.Value)
			return &yaml.Node{Kind: yaml.ScalarNode, Line: n.Line}
		}
		n = n.Alias
	}
	return n
}
