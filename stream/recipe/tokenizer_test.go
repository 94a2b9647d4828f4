package recipe_test

import (
	"reflect"
	"strings"
	"testing"

	"weld/stream/recipe"
)

func TestTokenizer(t *testing.T) {
	three := 3
	for text, want := range map[string]*recipe.Tokenizer{
		"":                                              nil,
		"tokenizer: {}":                                 {Source: "union"},
		"tokenizer_source: base":                        {Source: "base"},
		"tokenizer_source: org/x@v1":                    {Source: "org/x@v1"},
		"tokenizer_source: {model: x}":                  {Source: "x"},
		"tokenizer: {source: {model: c++}}":             {Source: "c++"},
		"tokenizer: {source: union}":                    {Source: "union"},
		"tokenizer: {pad_to_multiple_of: 8}":            {Source: "union", PadToMultipleOf: 8},
		"tokenizer: {tokens: ~, pad_to_multiple_of: ~}": {Source: "union"},
		`tokenizer:
  source: base
  pad_to_multiple_of: 64
  tokens:
    <|a|>: {source: a}
    <|b|>: {source: base, force: true}
    <|l|>: {source: a+l}
    <<: {source: ~}
    "\n": {force: false, source: {model: {path: a}}}
    3: {source: {kind: zero}}
    m: {source: {kind: model_token, model: b, token_id: 3}}
    n: {source: {kind: model_token, model: a, token: '[PAD]'}}`: {Source: "base", PadToMultipleOf: 64, Tokens: []recipe.TokenSource{
			{Token: "<|a|>", Kind: recipe.TokenOfModel},
			{Token: "<|b|>", Kind: recipe.TokenOfModel, Model: 2, Force: true},
			{Token: "<|l|>", Kind: recipe.TokenOfModel, Model: 1},
			{Token: "<<"},
			{Token: "\n", Kind: recipe.TokenOfModel},
			{Token: "3", Kind: recipe.TokenZero},
			{Token: "m", Kind: recipe.OtherToken, Model: -1, TokenID: &three},
			{Token: "n", Kind: recipe.OtherToken, SourceToken: "[PAD]"},
		}},
	} {
		text = strings.Replace(text, "    <<:", `    "<<":`, 1)
		r := understood(t, "merge_method: ties\nbase_model: b\nmodels: [{model: a}, {model: a+l}, {model: base}]\n"+text+"\n")
		readsBack(t, r)
		if got := unplacedTokenizer(r.Tokenizer); !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n%+v, want %+v", text, got, want)
		}
	}
}

func unplacedTokenizer(t *recipe.Tokenizer) *recipe.Tokenizer {
	if t == nil {
		return nil
	}
	bare := *t
	bare.Where, bare.Tokens = recipe.Position{}, nil
	for _, token := range t.Tokens {
		token.Where = recipe.Position{}
		bare.Tokens = append(bare.Tokens, token)
	}
	return &bare
}

func TestChatTemplates(t *testing.T) {
	for _, text := range append([]string{"my.jinja", "{{ messages }}"}, "auto", "", "alpaca", "chatml", "exaone", "llama3", "mistral", "{% for m in messages %}\n  {{ m }}\n{% endfor %}\n") {
		r := understood(t, "merge_method: linear\nmodels: [{model: a}]\nchat_template: "+quoted(text)+"\n")
		if r.ChatTemplate != text {
			t.Errorf("%q, want %q", r.ChatTemplate, text)
		}
		readsBack(t, r)
	}
}
