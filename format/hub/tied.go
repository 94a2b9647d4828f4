package hub

import (
	"bytes"
	"regexp"
	"slices"
)

// TiedHead are the names of an output layer and of the embedding whose tensor stands for it in a model
// that ties them.
type TiedHead struct{ Head, Embedding string }

// TiedHeads are the names that architectures give them.
var TiedHeads = []TiedHead{
	{"lm_head.weight", "model.embed_tokens.weight"},
	{"lm_head.weight", "transformer.wte.weight"},
	{"lm_head.weight", "embed_tokens.weight"},
	{"embed_out.weight", "gpt_neox.embed_in.weight"},
	{"language_model.lm_head.weight", "language_model.model.embed_tokens.weight"},
	{"lm_head.weight", "model.language_model.embed_tokens.weight"},
	{"lm_head.weight", "model.decoder.embed_tokens.weight"},
	{"lm_head.weight", "transformer.word_embeddings.weight"},
}

// declaredTied matches whether a config ties the output layer to the input embeddings.
var declaredTied = regexp.MustCompile(`("tie_word_embeddings"\s*:\s*)(true|false)\b`)

// SetUntied has a config.json say, at any depth where it says something of it, that the output
// layer is a tensor of its own, and leaves every other byte as it is. A config that says nothing
// gets the word at its top, for many architectures tie by default. What is no JSON object is left alone.
func SetUntied(config []byte) []byte {
	if declaredTied.Match(config) {
		return declaredTied.ReplaceAll(config, []byte("${1}false"))
	}
	config, _ = setTop(config, "tie_word_embeddings", []byte("false"))
	return config
}

// setTop puts a key first into the object that a document is; false if it is none.
func setTop(config []byte, key string, value []byte) ([]byte, bool) {
	open := bytes.IndexByte(config, '{')
	if open < 0 || len(bytes.TrimSpace(config[:open])) > 0 {
		return config, false
	}
	word := "\n  \"" + key + "\": " + string(value)
	if rest := bytes.TrimSpace(config[open+1:]); !bytes.HasPrefix(rest, []byte("}")) {
		word += ","
	}
	return slices.Insert(bytes.Clone(config), open+1, []byte(word)...), true
}
