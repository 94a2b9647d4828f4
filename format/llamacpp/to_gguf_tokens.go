package llamacpp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"weld/format"
)

// Files of a tokenizer in a directory of the Hub.
const (
	tokenizerName       = "tokenizer.json"
	tokenizerConfigName = "tokenizer_config.json"
	sentencePieceName   = "tokenizer.model"
	templateName        = "chat_template.jinja"
)

// Scores of tokens that no merge makes (convert_hf_to_gguf.py).
const unusedScore, addedScore = -10000, -1000

// sayTokenizer writes the vocabulary. What GGUF cannot say is said in a note.
func (g *GGUF) sayTokenizer() error {
	err := g.sayVocabulary()
	if why := unfit(""); errors.As(err, &why) {
		g.Pairs.Text(modelKey, "none")
		if g.mapping.Name != "llama" { // which has it anyway
			g.Pairs.Uint32(g.mapping.Name+".vocab_size", uint32(g.mapping.sizes[vocabulary]))
		}
		g.Notes = append(g.Notes, fmt.Sprintf("%s: its tokenizer is not in the output: %s; llama.cpp loads the model without one, and needs it to read and write text", g.path, string(why)))
		return nil
	}
	return err
}

func (g *GGUF) sayVocabulary() error {
	v := &spoken{rows: g.mapping.sizes[vocabulary]}
	if err := g.readTokenizerConfig(v); err != nil {
		return err
	}
	pieces, err := g.beside.Read(sentencePieceName, format.MaxSmall)
	if err != nil {
		return err
	}
	raw, err := g.beside.Read(tokenizerName, format.MaxSmall)
	if err != nil {
		return err
	}
	if pieces == nil && raw == nil {
		return unfit(fmt.Sprintf("there is neither %s nor %s beside it", tokenizerName, sentencePieceName))
	}
	var t hubTokenizer
	if raw != nil {
		if err := json.Unmarshal(raw, &t); err != nil {
			return unfit(fmt.Sprintf("%s is no JSON: %v", tokenizerName, err))
		}
	}
	switch {
	case pieces != nil:
		err = v.takePieces(pieces)
	case t.Model.Type != "BPE":
		err = unfit(fmt.Sprintf("%s is a model of %q, and those of BPE are known", tokenizerName, t.Model.Type))
	case t.Model.ByteFallback:
		err = v.takeRanked(&t)
	default:
		err = v.takeByteLevel(&t)
	}
	if err != nil {
		return err
	}
	v.matched = slices.Concat(t.Added, v.added)
	if err := v.takeAdded(); err != nil {
		return err
	}
	g.write(v, &t)
	return nil
}

// spoken is a vocabulary as GGUF has it, before it is written.
type spoken struct {
	tokenList
	rows   int64 // of embeddings
	model  string
	pre    string
	merges []string
	prefix *bool // whether a space goes before a text
	pieces bool  // out of a tokenizer.model

	config   *settings    // tokenizer_config.json
	added    []addedToken // of tokenizer_config.json
	matched  []addedToken // all
	template string
}

// hubTokenizer is what is looked at of a tokenizer.json.
type hubTokenizer struct {
	Added         []addedToken    `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor *processorJSON  `json:"post_processor"`
	Model         struct {
		Type         string           `json:"type"`
		Vocab        map[string]int64 `json:"vocab"`
		Merges       mergeTexts       `json:"merges"`
		ByteFallback bool             `json:"byte_fallback"`
		IgnoreMerges bool             `json:"ignore_merges"`
		Unknown      *string          `json:"unk_token"`
	} `json:"model"`
}

// addedToken is a token that is matched whole.
type addedToken struct {
	ID      int64  `json:"id"`
	Content string `json:"content"`
	Special bool   `json:"special"`
}

// processorJSON puts tokens around a text.
type processorJSON struct {
	Type       string          `json:"type"`
	Processors []processorJSON `json:"processors"`
	Single     []struct {
		SpecialToken *struct {
			ID string `json:"id"`
		}
	} `json:"single"`
}

// mergeTexts are merges as GGUF has them: two tokens with a space between.
type mergeTexts []string

// UnmarshalJSON implements [json.Unmarshaler]: files have texts, or lists of two.
func (m *mergeTexts) UnmarshalJSON(raw []byte) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return errors.Join(err, errors.New("merges are no list"))
	}
	for d.More() {
		var parts []string
		t, err := d.Token()
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case string:
			parts = strings.Split(t, " ")
		case json.Delim:
			for d.More() {
				part, err := d.Token()
				text, ok := part.(string)
				if err != nil || !ok || strings.Contains(text, " ") {
					return errors.Join(err, errors.New("a merge is not of two tokens without spaces"))
				}
				parts = append(parts, text)
			}
			if _, err := d.Token(); err != nil {
				return err
			}
		}
		if len(parts) != 2 || parts[0] == "" || parts[1] == "" {
			return fmt.Errorf("merge %d is not of two tokens", len(*m))
		}
		*m = append(*m, parts[0]+" "+parts[1])
	}
	return nil
}

// readTokenizerConfig reads which tokens have a part of their own, and the template of chats.
func (g *GGUF) readTokenizerConfig(v *spoken) error {
	raw, err := g.beside.Read(tokenizerConfigName, MaxConfig)
	if err != nil {
		return err
	}
	v.config = &settings{path: g.beside.Join(tokenizerConfigName), all: map[string]any{}}
	if raw != nil {
		if v.config, err = parseSettings(v.config.path, raw); err != nil {
			return err
		}
		var more struct {
			Added map[int64]addedToken `json:"added_tokens_decoder"`
		}
		if err := json.Unmarshal(raw, &more); err == nil {
			for id, a := range more.Added {
				a.ID = id
				v.added = append(v.added, a)
			}
			slices.SortFunc(v.added, func(a, b addedToken) int { return int(min(max(a.ID-b.ID, -1), 1)) })
		}
	}
	switch t := v.config.all["chat_template"].(type) {
	case string:
		v.template = t
	case []any:
		for _, one := range t {
			if named, _ := one.(map[string]any); named["name"] == "default" {
				v.template, _ = named["template"].(string)
			}
		}
	}
	if v.template != "" {
		return nil
	}
	text, err := g.beside.Read(templateName, MaxConfig)
	v.template = string(text)
	return err
}

// reserve makes room for a token for every row; those that are not there have names that say so.
func (v *spoken) reserve() {
	v.texts, v.types = make([]string, v.rows), make([]int32, v.rows)
	for i := range v.texts {
		v.texts[i], v.types[i] = fmt.Sprintf("[PAD%d]", i), unusedToken
	}
}

// put has a token at its place.
func (v *spoken) put(id int64, text string, kind int32) error {
	if id < 0 || id >= v.rows {
		return unfit(fmt.Sprintf("token %d is %q, and embeddings have %d rows", id, text[:min(len(text), 80)], v.rows))
	}
	v.texts[id], v.types[id] = text, kind
	return nil
}

// takeByteLevel takes a vocabulary whose merges are of bytes.
func (v *spoken) takeByteLevel(t *hubTokenizer) error {
	v.reserve()
	v.model, v.merges = "gpt2", t.Model.Merges
	var err error
	if v.pre, err = preOf(t); err != nil {
		return err
	}
	for text, id := range t.Model.Vocab {
		if err := v.put(id, text, normalToken); err != nil {
			return err
		}
	}
	return nil
}

// preOf finds the name that llama.cpp has for how a tokenizer cuts text: by what is said of it, since it names models.
func preOf(t *hubTokenizer) (string, error) {
	var steps []map[string]any
	var whole map[string]any
	if err := json.Unmarshal(t.PreTokenizer, &whole); err != nil || whole == nil {
		return "", unfit("pre_tokenizer of " + tokenizerName + " says nothing of how text is cut")
	}
	list, _ := whole["pretokenizers"].([]any)
	for _, s := range list {
		step, _ := s.(map[string]any)
		steps = append(steps, step)
	}
	if whole["type"] != "Sequence" {
		steps = []map[string]any{whole}
	}
	var said preTokenizer
	for _, step := range steps {
		pattern, _ := step["pattern"].(map[string]any)
		expression, _ := pattern["Regex"].(string)
		switch {
		case step["type"] == "Split" && step["behavior"] == "Isolated" && step["invert"] != true && said.expression == "" && expression != "":
			said.expression = expression
		case step["type"] == "Digits" && step["individual_digits"] == true:
			said.digits = true
		case step["type"] == "ByteLevel" && step["add_prefix_space"] != true:
		default:
			return "", unfit(fmt.Sprintf("llama.cpp is not known to cut text as pre_tokenizer of %s says (%v)", tokenizerName, step["type"]))
		}
	}
	for _, name := range []string{"llama-bpe", "tekken", "qwen2", "gpt-2", "smollm"} {
		if s := splits[name]; s.expression == said.expression && s.digits == said.digits && (s.whole == t.Model.IgnoreMerges || name == "tekken") {
			return name, nil
		}
	}
	return "", unfit(fmt.Sprintf("llama.cpp is not known to cut text as pre_tokenizer of %s says", tokenizerName))
}

// takeRanked takes a vocabulary of SentencePiece that has become merges: the score of a token is the rank of the merges that make it.
func (v *spoken) takeRanked(t *hubTokenizer) error {
	v.reserve()
	v.model, v.pre = "llama", "default"
	v.scores = make([]float32, v.rows)
	for i := range v.scores {
		v.scores[i] = unusedScore
	}
	for text, id := range t.Model.Vocab {
		kind := int32(normalToken)
		switch {
		case t.Model.Unknown != nil && text == *t.Model.Unknown:
			kind = unknownToken
		case len(text) == len("<0x00>") && strings.HasPrefix(text, "<0x") && strings.HasSuffix(text, ">"):
			kind = byteToken
		}
		if err := v.put(id, text, kind); err != nil {
			return err
		}
		v.scores[id] = 0
	}
	rank, last := float32(0), ""
	for i, merge := range t.Model.Merges {
		text := strings.Replace(merge, " ", "", 1)
		if text == last {
			continue
		}
		id, ok := t.Model.Vocab[text]
		if !ok || v.scores[id] != 0 {
			return unfit(fmt.Sprintf("merge %d of %s is not one of SentencePiece, whose tokens have one rank each", i, tokenizerName))
		}
		rank, last = rank-1, text
		v.scores[id] = rank
	}
	prefix := strings.Contains(string(t.Normalizer), `"Prepend"`) || strings.Contains(string(t.PreTokenizer), `"Metaspace"`) && !strings.Contains(string(t.PreTokenizer), `"never"`)
	v.prefix = &prefix
	return nil
}

// takeAdded takes the tokens that are matched whole.
func (v *spoken) takeAdded() error {
	for _, a := range v.matched {
		kind, text := int32(controlToken), a.Content
		if a.ID >= 0 && a.ID < v.rows && v.types[a.ID] == unknownToken {
			continue
		}
		if !a.Special && !looksSpecial(text) {
			kind, text = definedToken, strings.ReplaceAll(text, space, " ")
		}
		if err := v.put(a.ID, text, kind); err != nil {
			return err
		}
		if v.pieces {
			v.scores[a.ID] = addedScore
		}
	}
	return nil
}

// looksSpecial reports whether llama.cpp takes a token for one that is no text, whatever the tokenizer says.
func looksSpecial(text string) bool {
	return slices.Contains([]string{"<pad>", "<mask>", "<2mass>", "[@BOS@]"}, text) ||
		strings.HasPrefix(text, "<|") && strings.HasSuffix(text, "|>") ||
		strings.HasPrefix(text, "<｜") && strings.HasSuffix(text, "｜>") ||
		strings.HasPrefix(text, "<unused") && strings.HasSuffix(text, ">")
}
