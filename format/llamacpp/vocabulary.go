package llamacpp

import (
	"fmt"
	"unicode/utf8"

	"weld/format/gguf"
)

// The keys of tokenizers.
const (
	tokenizerKeys = "tokenizer."
	modelKey      = "tokenizer.ggml.model"
	preKey        = "tokenizer.ggml.pre"
	tokensKey     = "tokenizer.ggml.tokens"
	scoresKey     = "tokenizer.ggml.scores"
	typesKey      = "tokenizer.ggml.token_type"
	mergesKey     = "tokenizer.ggml.merges"
	templateKey   = "tokenizer.chat_template"
	prefixKey     = "tokenizer.ggml.add_space_prefix"
	addBOSKey     = "tokenizer.ggml.add_bos_token"
	addEOSKey     = "tokenizer.ggml.add_eos_token"
)

// specialKeys are those of tokens with a part of their own, and what they are called in the Hub.
var specialKeys = []struct{ gguf, hub string }{
	{"tokenizer.ggml.bos_token_id", "bos_token"},
	{"tokenizer.ggml.eos_token_id", "eos_token"},
	{"tokenizer.ggml.unknown_token_id", "unk_token"},
	{"tokenizer.ggml.padding_token_id", "pad_token"},
}

// The types of tokens (llama.h, enum llama_token_type).
const (
	normalToken  = 1
	unknownToken = 2
	controlToken = 3
	definedToken = 4 // matched whole, before anything else
	unusedToken  = 5
	byteToken    = 6
)

// tokenList is a vocabulary as GGUF has it.
type tokenList struct {
	texts  []string
	types  []int32
	scores []float32
	ids    map[string]int32 // of those that are used
}

// unfit is why a tokenizer is not written. It is no error of the model.
type unfit string

func (u unfit) Error() string { return string(u) }

// readTokens reads the vocabulary.
func readTokens(file *gguf.Checkpoint) (*tokenList, error) {
	v, ok := file.Value(tokensKey)
	if !ok || v.Type != gguf.Array || v.Of != gguf.String {
		return nil, unfit("it has no list of tokens")
	}
	l := &tokenList{texts: make([]string, 0, v.Len), ids: make(map[string]int32, v.Len)}
	if err := readTypes(file, l, v.Len); err != nil {
		return nil, err
	}
	err := file.Each(v, func(i int64, text []byte) error {
		if !utf8.Valid(text) {
			return unfit(fmt.Sprintf("token %d is no UTF-8", i))
		}
		l.texts = append(l.texts, string(text))
		if l.types[i] == unusedToken {
			return nil
		}
		if j, again := l.ids[l.texts[i]]; again {
			return unfit(fmt.Sprintf("tokens %d and %d are both %q", j, i, text[:min(len(text), 80)]))
		}
		l.ids[l.texts[i]] = int32(i)
		return nil
	})
	return l, err
}

// readTypes reads types and scores of n tokens, where they are there.
func readTypes(file *gguf.Checkpoint, l *tokenList, n int64) error {
	l.types = make([]int32, n)
	for i := range l.types {
		l.types[i] = normalToken
	}
	if v, ok := file.Value(typesKey); ok {
		if v.Type != gguf.Array || v.Of != gguf.Int32 || v.Len != n {
			return unfit(typesKey + " is no list of as many numbers as tokens")
		}
		if err := file.Each(v, func(i int64, x []byte) error {
			t, _ := gguf.Value{Type: v.Of, Head: x}.Int()
			l.types[i] = int32(t)
			return nil
		}); err != nil {
			return err
		}
	}
	v, ok := file.Value(scoresKey)
	if !ok {
		return nil
	}
	if v.Type != gguf.Array || v.Of != gguf.Float32 || v.Len != n {
		return unfit(scoresKey + " is no list of as many numbers as tokens")
	}
	l.scores = make([]float32, n)
	return file.Each(v, func(i int64, x []byte) error {
		f, _ := gguf.Value{Type: v.Of, Head: x}.Float()
		l.scores[i] = float32(f)
		return nil
	})
}

// special is the text of a token with a part of its own.
func (l *tokenList) special(file *gguf.Checkpoint, key string) (text string, id int64, ok bool) {
	v, ok := file.Value(key)
	if !ok {
		return "", 0, false
	}
	id, ok = v.Int()
	if !ok || id < 0 || id >= int64(len(l.texts)) {
		return "", 0, false
	}
	return l.texts[id], id, true
}

// truth is a truth value of the metadata, or what holds without it.
func truth(file *gguf.Checkpoint, key string, without bool) bool {
	v, _ := file.Value(key)
	if value, ok := v.Truth(); ok {
		return value
	}
	return without
}
