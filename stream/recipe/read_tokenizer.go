package recipe

import (
	"slices"

	"go.yaml.in/yaml/v3"

	"weld/internal/spelling"
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
			r.report(where, "unknown key %q of tokenizer%s: %s", key, spelling.Hint(key, keys), choose(keys))
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
				r.report(where, "unknown key %q of a token%s: %s", key, spelling.Hint(key, keys), choose(keys))
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
			r.report(where, "unknown key %q of source%s: %s", key, spelling.Hint(key, keys), choose(keys))
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
