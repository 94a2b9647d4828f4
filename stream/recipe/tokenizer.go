package recipe

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Tokenizer says which vocabulary the output has, and where the rows of its tokens
// come from.
type Tokenizer struct {
	Source          string // base, union, or a model's path, which need not be merged
	Tokens          []TokenSource
	PadToMultipleOf int // rows of the vocabulary's tensors; 0: as many as tokens
	Where           Position
}

// TokenSource says where the row of one token comes from.
type TokenSource struct {
	Token       string
	Kind        TokenKind
	Model       int    // of TokenOfModel and OtherToken: index in the recipe's models; -1: the base
	TokenID     *int   // of OtherToken: the row, or
	SourceToken string // the token that has it
	Force       bool   // in every model, also where it has the token itself
	Where       Position
}

// TokenKind is where a row comes from.
type TokenKind int

const (
	// TokenDefault is as of any other token: the base's row, or the mean of the models'.
	TokenDefault TokenKind = iota
	// TokenZero is a row of zeros.
	TokenZero
	// TokenOfModel is the row that a model has for the same token.
	TokenOfModel
	// OtherToken is the row that a model has for another token.
	OtherToken
)

// Names of sources and kinds in a recipe.
const (
	sourceBase     = "base"
	sourceUnion    = "union"
	kindZero       = "zero"
	kindModelToken = "model_token"
)

// draftTokenizer is what was written under tokenizer.
type draftTokenizer struct {
	source Setting
	tokens []draftToken
	pad    int
	where  Position
}

type draftToken struct {
	TokenSource
	model Setting
}

// eitherTokenizer takes tokenizer_source for short for tokenizer: {source}.
func (r *resolver) eitherTokenizer(source Setting, t *draftTokenizer) *draftTokenizer {
	switch {
	case !source.given():
		return t
	case t != nil:
		r.report(source.Where, "tokenizer_source and tokenizer exclude each other: write tokenizer: {source: …}")
		return t
	}
	return &draftTokenizer{source: source, where: source.Where}
}

// readTokenizer reads the section; nil if there is none.
func (r *resolver) readTokenizer(where Position, n *yaml.Node) *draftTokenizer {
	if null(r.follow(n)) {
		return nil
	}
	t := &draftTokenizer{where: where}
	r.mapping(n, "tokenizer", func(key string, where Position, value *yaml.Node) {
		switch key {
		case "source":
			t.source = r.referenceNode(key, value)
		case "tokens":
			t.tokens = r.readTokens(value)
		case "pad_to_multiple_of":
			t.pad = r.natural(key, value, 1)
		default:
			keys := []string{"source", "tokens", "pad_to_multiple_of"}
			r.report(where, "unknown key %q of tokenizer%s: %s", key, hint(key, keys), choose(keys))
		}
	})
	return t
}

// natural reads a whole number of at least low; 0 for null.
func (r *resolver) natural(key string, n *yaml.Node, low int) int {
	s := r.optional(key, n, r.setting)
	i, ok := whole(s.Text)
	if s.given() && !s.faulty && (!ok || i < low || i > 1<<30) {
		r.report(s.Where, "%s: %q is not a whole number from %d to %d", key, s.Text, low, 1<<30)
	}
	return i
}

func (r *resolver) readTokens(n *yaml.Node) (all []draftToken) {
	if null(r.follow(n)) {
		return nil
	}
	r.mapping(n, "tokens", func(token string, where Position, value *yaml.Node) {
		t := draftToken{TokenSource: TokenSource{Token: token, Where: where}}
		if token == "" {
			r.report(where, "a token without a text")
		}
		r.mapping(value, "a token", func(key string, where Position, value *yaml.Node) {
			switch key {
			case "source":
				r.tokenSource(&t, value)
			case "force":
				t.Force = r.truth(key, value)
			default:
				keys := []string{"source", "force"}
				r.report(where, "unknown key %q of a token%s: %s", key, hint(key, keys), choose(keys))
			}
		})
		all = append(all, t)
	})
	return all
}

// truth reads a Bool that is no parameter.
func (r *resolver) truth(key string, n *yaml.Node) bool {
	s := r.setting(key, n)
	v, err := Param{Kind: Bool}.parse(s.Text)
	if err != nil && !s.faulty {
		r.report(s.Where, "%s: %v", key, err)
	}
	return v.Bool
}

// tokenSource reads a model, or a mapping that says which row is meant.
func (r *resolver) tokenSource(t *draftToken, n *yaml.Node) {
	n = r.follow(n)
	switch {
	case null(n):
	case n.Kind == yaml.MappingNode && !reads(n, "kind", "token", "token_id"), n.Kind != yaml.MappingNode:
		t.Kind, t.model = TokenOfModel, r.referenceNode("source", n)
	default:
		r.row(t, n)
	}
}

// reads reports a mapping with one of the keys.
func reads(n *yaml.Node, keys ...string) bool {
	for i := 0; i < len(n.Content); i += 2 {
		if slices.Contains(keys, n.Content[i].Value) {
			return true
		}
	}
	return false
}

// row reads {kind: zero}, or {kind: model_token, model, token or token_id}.
func (r *resolver) row(t *draftToken, n *yaml.Node) {
	var kind, token Setting
	before := len(r.problems)
	r.mapping(n, "source", func(key string, where Position, value *yaml.Node) {
		switch key {
		case "kind":
			kind = r.setting(key, value)
		case "model":
			t.model = r.referenceNode(key, value)
		case "token":
			token = r.optional(key, value, r.setting)
		case "token_id":
			if !null(r.follow(value)) {
				id := r.natural(key, value, 0)
				t.TokenID = &id
			}
		default:
			keys := []string{"kind", "model", "token", "token_id"}
			r.report(where, "unknown key %q of source%s: %s", key, hint(key, keys), choose(keys))
		}
	})
	if len(r.problems) > before {
		return
	}
	t.SourceToken = token.Text
	where := Position{Line: n.Line}
	one := (token.given()) != (t.TokenID != nil)
	switch {
	case kind.Text != kindZero && kind.Text != kindModelToken:
		r.report(where, "source has the kind %q: choose from zero, model_token", kind.Text)
	case kind.Text == kindZero && (t.model.given() || token.given() || t.TokenID != nil):
		r.report(where, "a source of kind zero takes nothing else")
	case kind.Text == kindModelToken && (!t.model.given() || !one):
		r.report(where, "a source of kind model_token takes a model, and either token or token_id")
	}
	t.Kind = OtherToken
	if kind.Text == kindZero {
		t.Kind = TokenZero
	}
}

// tokenizer finds the models that are meant.
func (b *builder) tokenizer(d *draftTokenizer) *Tokenizer {
	if d == nil {
		return nil
	}
	t := &Tokenizer{Source: sourceUnion, PadToMultipleOf: d.pad, Where: d.where}
	if d.source.given() {
		t.Source = b.vocabulary(d.source)
	}
	for _, token := range d.tokens {
		if token.model.given() && !token.model.faulty {
			token.Model = b.merged(token.model)
		}
		t.Tokens = append(t.Tokens, token.TokenSource)
	}
	return t
}

// vocabulary is the source of the whole tokenizer. Adapters have none of their own.
func (b *builder) vocabulary(s Setting) string {
	x := b.reference(s)
	switch named := x.path == sourceBase || x.path == sourceUnion; {
	case x.path == "" && !s.faulty:
		b.report(s.Where, "%s names no tokenizer: base, union, or the path of a model", s.Key)
	case named && s.ref != nil:
		b.report(s.Where, "%s: a model called %s is written ./%s here", s.Key, x.path, x.path)
	}
	return x.path
}

// merged is the index of a model of the recipe, -1 for its base.
func (b *builder) merged(s Setting) int {
	x := b.reference(s)
	if i := slices.IndexFunc(b.out.Models, func(m Model) bool { return m.reference().same(x) }); i >= 0 {
		return i
	}
	if !b.isBase(x, b.base) {
		var names []string
		if b.base.path != "" {
			names = append(names, b.base.String())
		}
		for _, m := range b.out.Models[:min(len(b.out.Models), 20)] {
			names = append(names, m.reference().String())
		}
		why := ""
		if x.path == kindZero {
			why = " (a row of zeros is {kind: zero})"
		}
		b.report(s.Where, "the token's source %q is none of the models that are merged%s: %s", x, why, choose(slices.Compact(names)))
	}
	return -1
}

// node writes the section.
func (t *Tokenizer) node(r *Recipe) *yaml.Node {
	node := &yaml.Node{Kind: yaml.MappingNode}
	source := scalar(t.Source)
	if strings.Contains(t.Source, "+") {
		source = reference{path: t.Source}.node()
	}
	add(node, "source", source)
	if len(t.Tokens) > 0 {
		tokens := &yaml.Node{Kind: yaml.MappingNode}
		for _, token := range t.Tokens {
			add(tokens, token.Token, token.node(r))
		}
		add(node, "tokens", tokens)
	}
	if t.PadToMultipleOf > 0 {
		add(node, "pad_to_multiple_of", number(t.PadToMultipleOf))
	}
	return node
}

func (t TokenSource) node(r *Recipe) *yaml.Node {
	node := &yaml.Node{Kind: yaml.MappingNode}
	model := func() *yaml.Node {
		if t.Model < 0 {
			return reference{r.Base, r.BaseLora}.node()
		}
		return r.Models[t.Model].reference().node()
	}
	source := &yaml.Node{Kind: yaml.MappingNode}
	switch t.Kind {
	case TokenOfModel:
		source = model()
	case TokenZero:
		add(source, "kind", scalar(kindZero))
	case OtherToken:
		add(source, "kind", scalar(kindModelToken))
		add(source, "model", model())
		if t.TokenID != nil {
			add(source, "token_id", number(*t.TokenID))
		} else {
			add(source, "token", scalar(t.SourceToken))
		}
	}
	if t.Kind != TokenDefault {
		add(node, "source", source)
	}
	if t.Force {
		force := scalar("true")
		force.Style, force.Tag = 0, ""
		add(node, "force", force)
	}
	return node
}
