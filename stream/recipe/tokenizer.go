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
