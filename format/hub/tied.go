package hub

import (
	"bytes"
	"regexp"
	"slices"
)

// declaredTied matches whether a config ties the output layer to the input embeddings.
var declaredTied = regexp.MustCompile(`("tie_word_embeddings"\s*:\s*)(true|false)\b`)

// SetUntied has a config.json say, at any depth where it says something of it, that the output
// layer is a tensor of its own, and leaves every other byte as it is. A config that says nothing
// gets the word at its top, for many architectures tie by default. What is no JSON object is left alone.
func SetUntied(config []byte) []byte {
	if declaredTied.Match(config) {
		return declaredTied.ReplaceAll(config, []byte("${1}false"))
	}
	open := bytes.IndexByte(config, '{')
	if open < 0 || len(bytes.TrimSpace(config[:open])) > 0 {
		return config
	}
	word := "\n  \"tie_word_embeddings\": false"
	if rest := bytes.TrimSpace(config[open+1:]); !bytes.HasPrefix(rest, []byte("}")) {
		word += ","
	}
	return slices.Insert(bytes.Clone(config), open+1, []byte(word)...)
}
