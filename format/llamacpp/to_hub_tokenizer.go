package llamacpp

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"weld/format/gguf"
)

// splits are how text is cut before merges are looked for, by tokenizer.ggml.pre: the expressions are those of the Hub's tokenizers (transformers 5.23, integrations/gguf;
// tokenizer.json of the models).
var splits = map[string]preTokenizer{
	"llama-bpe": llama3Split, "llama3": llama3Split, "llama-v3": llama3Split, "falcon3": llama3Split, "falcon-h1": llama3Split, "pixtral": llama3Split, "midm-2.0": llama3Split, "lfm2": llama3Split,
	"tekken": {expression: tekkenExpression, whole: true, bos: true},
	"qwen2":  qwen2Split, "deepseek-r1-qwen": qwen2Split, "kormo": qwen2Split, "f2llmv2": qwen2Split,
	"gpt-2":  {},
	"smollm": {digits: true}, "starcoder": {digits: true}, "refact": {digits: true}, "command-r": {digits: true},
}

// preTokenizer cuts text by an expression; without one, as GPT-2 does.
type preTokenizer struct {
	expression string
	digits     bool // each by itself, before
	composed   bool // Unicode is composed before
	whole      bool // words that are tokens are not merged
	bos        bool // begins with the token of the beginning, unless the file says otherwise
}

var (
	llama3Split = preTokenizer{whole: true, bos: true, expression: `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`}
	qwen2Split  = preTokenizer{composed: true, expression: `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`}
)

const tekkenExpression = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`

// File is one that a directory of the Hub has beside its tensors.
type File struct {
	Name    string
	Content []byte
}

// tokenizer writes tokenizer.json and tokenizer_config.json. Where GGUF does not say enough, it says so in a note.
func (h *Hub) tokenizer() ([]File, error) {
	files, err := h.tokenizerFiles()
	if why := unfit(""); errors.As(err, &why) {
		h.Notes = append(h.Notes, fmt.Sprintf("%s: its tokenizer is not written: %s; copy tokenizer.json and tokenizer_config.json from the model that it was made of%s", h.file.Path(), string(why), h.origin()))
		return nil, nil
	}
	return files, err
}

// origin names where a model comes from, if the file says so.
func (h *Hub) origin() string {
	for _, key := range []string{"general.source.huggingface.repository", "general.repo_url", "general.source.url", "general.base_model.0.repo_url", "general.name"} {
		v, _ := h.file.Value(key)
		if text, ok := v.Text(); ok && text != "" && len(text) < 200 {
			return fmt.Sprintf(" (%s: %s)", key, text)
		}
	}
	return ""
}

func (h *Hub) tokenizerFiles() ([]File, error) {
	v, ok := h.file.Value(modelKey)
	kind, _ := v.Text()
	if !ok || kind == "none" || kind == "no_vocab" {
		return nil, unfit("it has none")
	}
	l, err := readTokens(h.file)
	if err != nil {
		return nil, err
	}
	var parts object
	var model bpe
	bos := true // which llama.cpp takes SentencePiece to begin with
	switch kind {
	case "gpt2":
		parts, model, bos, err = h.byteLevel(l)
	case "llama":
		parts, model, err = h.sentencePiece(l)
	default:
		err = unfit(fmt.Sprintf("%s is %q, and weld writes those of gpt2 and llama", modelKey, kind))
	}
	if err != nil {
		return nil, err
	}
	adds := additions{bos: truth(h.file, addBOSKey, bos), eos: truth(h.file, addEOSKey, false)}
	processor, err := h.processor(l, adds, kind == "gpt2")
	if err != nil {
		return nil, err
	}
	parts.set("post_processor", processor)
	whole := object{{"version", "1.0"}, {"truncation", nil}, {"padding", nil}, {"added_tokens", l.added()}}
	for _, key := range []string{"normalizer", "pre_tokenizer", "post_processor", "decoder"} {
		whole.set(key, parts.get(key))
	}
	content, err := whole.MarshalJSON()
	if err != nil {
		return nil, err
	}
	// The model is tens of megabytes, which are printed once.
	content = append(bytes.TrimSuffix(content, []byte("}")), `,"model":`...)
	if content, err = model.print(content); err != nil {
		return nil, err
	}
	config, err := h.tokenizerConfig(l, adds)
	return []File{{"tokenizer.json", append(content, '}')}, {"tokenizer_config.json", config}}, err
}

// get is a member's value; nil if it is not there.
func (o object) get(key string) any {
	for _, m := range o {
		if m.key == key {
			return m.value
		}
	}
	return nil
}

// byteLevel describes merges of bytes, as GPT-2 has them.
func (h *Hub) byteLevel(l *tokenList) (parts object, model bpe, bos bool, err error) {
	v, _ := h.file.Value(preKey)
	pre, _ := v.Text()
	split, known := splits[pre]
	if !known {
		return nil, bpe{}, false, unfit(fmt.Sprintf("%s is %q, and weld does not know how such text is cut", preKey, pre))
	}
	merges, err := readMerges(h.file)
	if err != nil {
		return nil, bpe{}, false, err
	}
	if err := l.hold(merges); err != nil {
		return nil, bpe{}, false, err
	}
	byteLevel := func(regex bool) object {
		return object{{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", regex}}
	}
	steps := []object{byteLevel(split.expression == "")}
	if split.expression != "" {
		steps = append([]object{{{"type", "Split"}, {"pattern", object{{"Regex", split.expression}}}, {"behavior", "Isolated"}, {"invert", false}}}, steps...)
	}
	if split.digits {
		steps = append([]object{{{"type", "Digits"}, {"individual_digits", true}}}, steps...)
	}
	parts = object{{"pre_tokenizer", object{{"type", "Sequence"}, {"pretokenizers", steps}}}, {"decoder", byteLevel(true)}}
	if split.composed {
		parts.set("normalizer", object{{"type", "NFC"}})
	}
	return parts, bpe{tokens: l, merges: merges, whole: split.whole}, split.bos, nil
}

// hold demands that merges make tokens of tokens.
func (l *tokenList) hold(merges []pair) error {
	for i, m := range merges {
		for _, text := range []string{m.left, m.right, m.left + m.right} {
			if _, ok := l.ids[text]; !ok {
				return unfit(fmt.Sprintf("merge %d has %q, which is no token", i, text))
			}
		}
	}
	return nil
}

// space is how SentencePiece writes a space.
const space = "▁"

// sentencePiece describes a vocabulary of SentencePiece as merges, as the Hub's tokenizers of Llama 2 and Gemma are.
func (h *Hub) sentencePiece(l *tokenList) (object, bpe, error) {
	if l.scores == nil {
		return nil, bpe{}, unfit("its tokens have no scores, which say the order of merges")
	}
	gemma := strings.HasPrefix(h.mapping.Name, "gemma")
	if gemma {
		l.respell()
	}
	unknown := slices.Index(l.types, unknownToken)
	if unknown < 0 {
		return nil, bpe{}, unfit("none of its tokens stands for what is unknown")
	}
	steps := []object{{{"type", "Replace"}, {"pattern", object{{"String", space}}}, {"content", " "}}, {{"type", "ByteFallback"}}, {{"type", "Fuse"}}}
	replaced := object{{"type", "Replace"}, {"pattern", object{{"String", " "}}}, {"content", space}}
	parts := object{{"normalizer", replaced}}
	if truth(h.file, prefixKey, true) {
		parts.set("normalizer", object{{"type", "Sequence"}, {"normalizers", []object{{{"type", "Prepend"}, {"prepend", space}}, replaced}}})
		steps = append(steps, object{{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}})
	} else {
		parts.set("pre_tokenizer", object{{"type", "Split"}, {"pattern", object{{"String", " "}}}, {"behavior", "MergedWithPrevious"}, {"invert", false}})
	}
	parts.set("decoder", object{{"type", "Sequence"}, {"decoders", steps}})
	return parts, bpe{tokens: l, merges: l.impliedMerges(gemma), unknown: l.texts[unknown], bytes: true}, nil
}

// respell writes runs of spaces as Gemma's tokenizers of the Hub have them: GGUF has them as they are in text.
func (l *tokenList) respell() {
	for i, text := range l.texts {
		if len(text) > 1 && strings.Trim(text, " ") == "" {
			spelt := strings.Repeat(space, len(text))
			if _, taken := l.ids[spelt]; !taken {
				delete(l.ids, text)
				l.texts[i], l.ids[spelt] = spelt, int32(i)
			}
		}
	}
}

// added are tokens that are matched whole.
func (l *tokenList) added() []object {
	list := []object{}
	for i, text := range l.texts {
		if t := l.types[i]; t == controlToken || t == definedToken || t == unknownToken {
			list = append(list, object{{"id", i}, {"content", text}, {"single_word", false}, {"lstrip", false}, {"rstrip", false}, {"normalized", false}, {"special", t != definedToken}})
		}
	}
	return list
}

// additions are tokens that are put around a text.
type additions struct{ bos, eos bool }

// processor puts tokens around a text.
func (h *Hub) processor(l *tokenList, adds additions, byteLevel bool) (any, error) {
	var single, second []object
	special := object{}
	put := func(key string) error {
		text, id, ok := l.special(h.file, key)
		if !ok {
			return unfit(fmt.Sprintf("a token is added to texts, and %s is none", key))
		}
		special.set(text, object{{"id", text}, {"ids", []int64{id}}, {"tokens", []string{text}}})
		token := func(side int) object {
			return object{{"SpecialToken", object{{"id", text}, {"type_id", side}}}}
		}
		single, second = append(single, token(0)), append(second, token(1))
		return nil
	}
	sequence := func(id string, side int) object {
		return object{{"Sequence", object{{"id", id}, {"type_id", side}}}}
	}
	if !adds.bos && !adds.eos {
		if byteLevel {
			return object{{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", false}, {"use_regex", true}}, nil
		}
		return nil, nil
	}
	if adds.bos {
		if err := put(specialKeys[0].gguf); err != nil {
			return nil, err
		}
	}
	single, second = append(single, sequence("A", 0)), append(second, sequence("B", 1))
	if adds.eos {
		if err := put(specialKeys[1].gguf); err != nil {
			return nil, err
		}
	}
	return object{{"type", "TemplateProcessing"}, {"single", single}, {"pair", slices.Concat(single, second)}, {"special_tokens", special}}, nil
}

// tokenizerConfig is tokenizer_config.json: tokens with a part of their own, and the template of chats.
func (h *Hub) tokenizerConfig(l *tokenList, adds additions) ([]byte, error) {
	c := object{{"tokenizer_class", "PreTrainedTokenizerFast"}, {"add_bos_token", adds.bos}, {"add_eos_token", adds.eos}, {"clean_up_tokenization_spaces", false}}
	for _, s := range specialKeys {
		if text, _, ok := l.special(h.file, s.gguf); ok {
			c.set(s.hub, text)
		}
	}
	if n := h.config.get("max_position_embeddings"); n != nil {
		c.set("model_max_length", n)
	}
	if v, ok := h.file.Value(templateKey); ok && v.Type == gguf.String {
		text, err := h.file.Whole(v)
		if err != nil {
			return nil, err
		}
		c.set("chat_template", text)
	}
	return c.file()
}

// bpe is the model of a tokenizer.json, printed token by token.
type bpe struct {
	tokens  *tokenList
	merges  []pair
	unknown string
	bytes   bool // what is no token is written as its bytes
	whole   bool // words that are tokens are not merged
}

// print appends the model to a document.
func (m bpe) print(to []byte) ([]byte, error) {
	head := object{{"type", "BPE"}, {"dropout", nil}, {"unk_token", nil}, {"continuing_subword_prefix", nil}, {"end_of_word_suffix", nil}, {"fuse_unk", m.bytes}, {"byte_fallback", m.bytes}, {"ignore_merges", m.whole}}
	if m.unknown != "" {
		head.set("unk_token", m.unknown)
	}
	raw, err := head.MarshalJSON()
	if err != nil {
		return nil, err
	}
	to = append(append(to, bytes.TrimSuffix(raw, []byte("}"))...), `,"vocab":{`...)
	comma := ""
	for i, text := range m.tokens.texts {
		if m.tokens.types[i] == unusedToken {
			continue
		}
		to = append(appendQuoted(append(to, comma...), text), ':')
		to, comma = strconv.AppendInt(to, int64(i), 10), ","
	}
	to, comma = append(to, `},"merges":[`...), ""
	for _, p := range m.merges {
		to = append(appendQuoted(append(append(to, comma...), '['), p.left), ',')
		to, comma = append(appendQuoted(to, p.right), ']'), ","
	}
	return append(to, "]}"...), nil
}

// appendQuoted appends a text of UTF-8 as JSON has it.
func appendQuoted(to []byte, text string) []byte {
	to = append(to, '"')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			to = append(to, '\\', c)
		case c < ' ' || c == 0x7f:
			to = fmt.Appendf(to, "\\u%04x", c)
		default:
			to = append(to, c)
		}
	}
	return append(to, '"')
}
