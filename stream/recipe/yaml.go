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

// maxEntries bounds what a recipe may hold once its aliases are followed: more than
// fit into MaxSize without them.
const maxEntries = 1 << 20

// Parse reads a recipe in YAML; origin is its name in messages. Overrides replace what it says
// of their keys. The error is [Problems].
func (s Schema) Parse(origin string, data []byte, overrides ...Setting) (*Recipe, error) {
	return Parser{Schema: s}.Parse(origin, data, overrides...)
}

// Parse is [Schema.Parse].
func (in Parser) Parse(origin string, data []byte, overrides ...Setting) (*Recipe, error) {
	s := in.Schema
	r := &resolver{origin: origin, schema: s, exists: in.Exists}
	if len(data) > MaxSize {
		r.report(Position{}, "a recipe of %d bytes is over the limit of %d", len(data), MaxSize)
		return nil, r.err()
	}
	var doc, more yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(versionless(data)))
	switch err := decoder.Decode(&doc); {
	case errors.Is(err, io.EOF):
		r.report(Position{}, "the recipe is empty")
		return nil, r.err()
	case err != nil:
		r.syntax(data, err)
		return nil, r.err()
	}
	if err := decoder.Decode(&more); err == nil {
		r.report(Position{Line: more.Line}, "a second document: a file holds one recipe")
	} else if !errors.Is(err, io.EOF) {
		r.syntax(data, err)
	}
	var recipe *Recipe
	if draft := r.draft(doc.Content[0]); draft != nil {
		draft.Override(overrides)
		recipe = s.resolve(r, draft)
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	return recipe, nil
}

// versionless makes a comment of a directive that says which YAML the recipe is: the library
// refuses 1.2, whose recipes read alike.
func versionless(data []byte) []byte {
	if !bytes.HasPrefix(bytes.TrimPrefix(data, []byte("\ufeff")), []byte("%YAML 1.2")) {
		return data
	}
	return bytes.Replace(data, []byte("%"), []byte("#"), 1)
}

var (
	yamlLine = regexp.MustCompile(`^yaml: (?:.*?\n\s*)?line (\d+): (.*)`)
	// countedFromZero are the messages of the library's parser, which counts lines from
	// 0; its scanner counts them from 1.
	countedFromZero = regexp.MustCompile(`^(did not find expected (<|node|'-'|key|',')|found duplicate %|found undefined tag handle|found incompatible)`)
)

// tabIndented reports a line that begins with a tab, if only behind spaces.
func tabIndented(data []byte, line int) bool {
	for i, text := range bytes.Split(data, []byte("\n")) {
		if i+1 == line {
			return bytes.HasPrefix(bytes.TrimLeft(text, " "), []byte("\t"))
		}
	}
	return false
}

func (r *resolver) syntax(data []byte, err error) {
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ := strconv.Atoi(m[1])
		if countedFromZero.MatchString(m[2]) {
			line++
		}
		what := m[2]
		if strings.Contains(what, "tab character") && tabIndented(data, line+1) {
			line++ // where the tab is, and not where what it is in begins
		}
		if tabIndented(data, line) {
			what = "a tab, and only spaces are allowed for indentation"
		}
		r.report(Position{Line: line}, "not YAML: %s", what)
		return
	}
	r.report(Position{}, "not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
}

// visitor is called with a key, its position, and its value.
type visitor func(key string, where Position, value *yaml.Node)

// mapping visits the keys of a mapping in order, then those of the mappings that it
// takes in with <<; a key that stands twice is a problem. ok is false where there is
// no mapping.
func (r *resolver) mapping(n *yaml.Node, what string, visit visitor) (ok bool) {
	n = r.follow(n)
	if n.Kind != yaml.MappingNode {
		r.report(Position{Line: n.Line}, "%s is a mapping of keys to values", what)
		return false
	}
	seen := make(map[string]int)
	var taken []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		where := Position{Line: key.Line}
		switch line, twice := seen[key.Value]; {
		case !r.spend(key):
			return true
		case key.Kind != yaml.ScalarNode:
			r.report(where, "a key of %s is not a word", what)
			continue
		case twice:
			r.report(where, "key %q is given twice (first on line %d)", key.Value, line)
			continue
		case key.Tag == "!!merge":
			taken = append(taken, value)
			continue
		}
		seen[key.Value] = key.Line
		visit(key.Value, where, value)
	}
	for _, value := range taken {
		r.take(value, seen, visit, 0)
	}
	return true
}

// take visits what << takes in: a mapping's keys that have not been seen, or those of
// several mappings, of which earlier ones go first.
func (r *resolver) take(n *yaml.Node, seen map[string]int, visit visitor, depth int) {
	line := n.Line
	if n = r.follow(n); !r.spend(n) {
		return
	}
	if depth == aliasDepth || (n.Kind != yaml.MappingNode && n.Kind != yaml.SequenceNode) {
		r.report(Position{Line: line}, "<< takes in a mapping, or a list of mappings")
		return
	}
	var taken []*yaml.Node
	if n.Kind == yaml.SequenceNode {
		taken = n.Content
	}
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if !r.spend(key) {
			return
		}
		if key.Tag == "!!merge" {
			taken = append(taken, value)
			continue
		}
		if _, known := seen[key.Value]; known || key.Kind != yaml.ScalarNode {
			continue
		}
		seen[key.Value] = key.Line
		visit(key.Value, Position{Line: key.Line}, value)
	}
	for _, value := range taken {
		r.take(value, seen, visit, depth+1)
	}
}

// spend counts an entry. It is false once there are too many: aliases in aliases can
// stand for more than any machine holds.
func (r *resolver) spend(n *yaml.Node) bool {
	if r.visited++; r.visited == maxEntries {
		r.report(Position{Line: n.Line}, "the aliases of the recipe stand for more than %d entries", maxEntries)
	}
	return r.visited < maxEntries
}

// follow resolves aliases.
func (r *resolver) follow(n *yaml.Node) *yaml.Node {
	for depth := 0; n.Kind == yaml.AliasNode; depth++ {
		if depth == aliasDepth {
			r.report(Position{Line: n.Line}, "alias *%s leads nowhere", n.Value)
			return &yaml.Node{Kind: yaml.ScalarNode, Line: n.Line}
		}
		n = n.Alias
	}
	return n
}
