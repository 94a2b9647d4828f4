package tokens

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"

	"weld/format"
	"weld/format/hub"
)

// Names of files.
const (
	tokenizerName = "tokenizer.json"
	configName    = "tokenizer_config.json"
	addedName     = "added_tokens.json"
	templateName  = "chat_template.jinja"
	templatesDir  = "additional_chat_templates"
)

// foreign are tokenizers that weld does not read, and the files that only belong to them.
var foreign = []string{
	"tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "source.spm", "target.spm", "vocab.json", "vocab.txt", "merges.txt", "tekken.json",
}

// tokenizerFiles may stand beside a model and belong to its tokenizer.
var tokenizerFiles = append([]string{
	tokenizerName, configName, addedName, templateName, "special_tokens_map.json", "chat_template.json",
}, foreign...)

// IsTokenizerFile reports whether a file beside a model, named relative to its
// directory with slashes, belongs to the tokenizer. What the base has of them is not to
// be carried where [Vocabulary.Files] are written.
func IsTokenizerFile(name string) bool {
	return slices.Contains(tokenizerFiles, name) || len(name) > len(templatesDir) && name[:len(templatesDir)+1] == templatesDir+"/"
}

// addedToken is a token that is found in a text before the model of the tokenizer sees it.
type addedToken struct {
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// plain is a token that is added for its own sake.
func plain(content string) addedToken { return addedToken{Content: content, Normalized: true} }

// regularToken is a token with the id that it has when the library has loaded the file.
type regularToken struct {
	text string
	id   int32
}

// tokenizer is the vocabulary of one model. It is shared between models whose files
// are the same, and not changed once loaded.
type tokenizer struct {
	dir     format.Folder
	ids     map[string]int32
	regular []regularToken // tokens of the model alone, by id
	added   []addedToken   // in the order of the library
	isAdded map[string]int
	model   int   // tokens of the model
	highest int32 // id of an added token, −1 for none
	moved   int   // added tokens whose id in the file is not the one they get
}

// load reads the tokenizer of a model; it is nil if there is none.
func load(dir format.Folder, known map[[sha256.Size]byte]*tokenizer) (*tokenizer, error) {
	if !dir.Exists() {
		return nil, nil
	}
	raw, err := dir.Read(tokenizerName, hub.MaxSidecar)
	if err != nil {
		return nil, err
	}
	if raw == nil {
		return nil, withoutTokenizer(dir)
	}
	extra, err := loadExtra(dir)
	if err != nil {
		return nil, err
	}
	digest := sha256.New()
	digest.Write(raw)
	_ = json.NewEncoder(digest).Encode(extra)
	key := [sha256.Size]byte(digest.Sum(nil))
	if t := known[key]; t != nil {
		return t, nil
	}
	t, err := parseTokenizer(dir.Join(tokenizerName), raw, extra)
	if err != nil {
		return nil, err
	}
	t.dir = dir
	known[key] = t
	return t, nil
}

// withoutTokenizer is the error for a model that has a tokenizer of another kind.
func withoutTokenizer(dir format.Folder) error {
	for _, name := range foreign {
		if _, err := fs.Stat(dir, name); err == nil {
			return &format.Error{Path: dir.Path(), Kind: format.KindUnsupported, Detail: fmt.Sprintf(
				"there is %s but no %s, which is what weld reads; to make one, run: python -c \"from transformers import AutoTokenizer as T; T.from_pretrained('%s').save_pretrained('%s')\"",
				name, tokenizerName, dir.Path(), dir.Path())}
		}
	}
	return nil
}

// loadExtra reads the tokens that transformers adds to those of the library.
func loadExtra(dir format.Folder) ([]addedToken, error) {
	config, err := dir.Read(configName, hub.MaxSidecar)
	if err != nil {
		return nil, err
	}
	list, err := dir.Read(addedName, hub.MaxSidecar)
	if err != nil {
		return nil, err
	}
	return parseExtra(dir, config, list)
}

// parseExtra reads added_tokens_decoder of a tokenizer_config.json, or, if that has none, an
// added_tokens.json; either may be nil. Tokens come by id.
func parseExtra(dir format.Folder, config, list []byte) ([]addedToken, error) {
	type numbered struct {
		addedToken
		id int32
	}
	var found []numbered
	sorted := func() (out []addedToken) {
		slices.SortStableFunc(found, func(a, b numbered) int { return cmp.Compare(a.id, b.id) })
		for _, f := range found {
			out = append(out, f.addedToken)
		}
		return out
	}
	if config != nil {
		top, err := parse(dir.Join(configName), config)
		if err != nil {
			return nil, err
		}
		if decoder, ok := top.member("added_tokens_decoder"); ok && !decoder.null() {
			err := decoder.members("added_tokens_decoder", func(key string, m jsonValue) error {
				id, err := m.parseID(key, "an added token")
				if err != nil {
					return err
				}
				a, _, err := parseAdded(m, false)
				found = append(found, numbered{a, id})
				return err
			})
			return sorted(), err
		}
	}
	if list != nil {
		top, err := parse(dir.Join(addedName), list)
		if err != nil {
			return nil, err
		}
		err = top.members("the list", func(key string, m jsonValue) error {
			id, err := m.id("a token")
			found = append(found, numbered{plain(key), id})
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return sorted(), nil
}

// parseAdded reads one added token.
func parseAdded(v jsonValue, numbered bool) (a addedToken, id int32, err error) {
	id = -1
	content := false
	err = v.members("an added token", func(key string, m jsonValue) (err error) {
		switch key {
		case "id":
			id, err = m.id("an added token")
		case "content":
			a.Content, err = m.text(key)
			content = true
		case "single_word":
			a.SingleWord, err = m.flag(key)
		case "lstrip":
			a.LStrip, err = m.flag(key)
		case "rstrip":
			a.RStrip, err = m.flag(key)
		case "normalized":
			a.Normalized, err = m.flag(key)
		case "special":
			a.Special, err = m.flag(key)
		}
		return err
	})
	if err == nil && (!content || numbered && id < 0) {
		err = v.fault(format.KindKey, "an added token lacks its content or its id")
	}
	return a, id, err
}

// parseTokenizer reads a tokenizer.json, and adds tokens as transformers does.
func parseTokenizer(path string, raw []byte, extra []addedToken) (*tokenizer, error) {
	top, err := parse(path, raw)
	if err != nil {
		return nil, err
	}
	t := &tokenizer{ids: make(map[string]int32), isAdded: make(map[string]int), highest: -1}
	model, ok := top.member("model")
	if !ok {
		return nil, top.fault(format.KindKey, "no model: not a file of the tokenizers library")
	}
	vocab, ok := model.member("vocab")
	if !ok {
		return nil, model.fault(format.KindKey, "the model has no vocab")
	}
	if err := t.readVocab(vocab); err != nil {
		return nil, err
	}
	if list, ok := top.member("added_tokens"); ok && !list.null() {
		err := list.elements("added_tokens", func(_ int, e jsonValue) error {
			a, id, err := parseAdded(e, true)
			if err == nil && t.register(a) && t.ids[a.Content] != id {
				t.moved++
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	for _, a := range extra {
		t.register(a)
	}
	t.regular = slices.DeleteFunc(t.regular, func(e regularToken) bool { _, is := t.isAdded[e.text]; return is })
	slices.SortStableFunc(t.regular, func(a, b regularToken) int { return cmp.Compare(a.id, b.id) })
	return t, nil
}

// readVocab reads the tokens of the model: an object of ids, or Unigram's list, whose
// indexes are the ids.
func (t *tokenizer) readVocab(vocab jsonValue) error {
	put := func(text string, id int32) {
		t.ids[text] = id
		t.regular = append(t.regular, regularToken{text, id})
	}
	if vocab.doc[vocab.start] == '{' {
		return vocab.members("vocab", func(key string, m jsonValue) error {
			id, err := m.id("a token")
			if err != nil {
				return err
			}
			if _, twice := t.ids[key]; twice {
				return m.fault(format.KindDuplicate, "token %q appears twice", clip(key))
			}
			put(key, id)
			t.model++
			return nil
		})
	}
	err := vocab.elements("vocab", func(k int, e jsonValue) error {
		if k > maxID {
			return e.fault(format.KindOverflow, "more than %d tokens", maxID+1)
		}
		t.model++
		return e.elements("a token of the vocab", func(j int, e jsonValue) error {
			if j > 0 {
				return nil
			}
			text, err := e.text("a token")
			if err == nil {
				put(text, int32(k))
			}
			return err
		})
	})
	// The library keeps the last of equal tokens.
	t.regular = slices.DeleteFunc(t.regular, func(e regularToken) bool { return t.ids[e.text] != e.id })
	return err
}

// register adds a token as the library does: with the id of a token of the model that
// reads the same, or else the next one, whatever the file says. It reports whether the
// token is new among the added ones.
func (t *tokenizer) register(a addedToken) bool {
	if _, is := t.isAdded[a.Content]; is || a.Content == "" {
		return false
	}
	id, ok := t.ids[a.Content]
	if !ok {
		id = t.next()
		t.ids[a.Content] = id
	}
	t.isAdded[a.Content] = len(t.added)
	t.added = append(t.added, a)
	t.highest = max(t.highest, id)
	return true
}

// next is the id that the library gives to a token that is added.
func (t *tokenizer) next() int32 { return max(t.highest+1, int32(t.model)) }

// byID lists the added tokens by id.
func (t *tokenizer) byID() []addedToken {
	return slices.SortedStableFunc(slices.Values(t.added), func(a, b addedToken) int { return cmp.Compare(t.ids[a.Content], t.ids[b.Content]) })
}

// clone copies a tokenizer that is to be added to.
func (t *tokenizer) clone() *tokenizer {
	c := *t
	c.ids = make(map[string]int32, len(t.ids))
	for k, v := range t.ids {
		c.ids[k] = v
	}
	c.isAdded = make(map[string]int, len(t.isAdded))
	for k, v := range t.isAdded {
		c.isAdded[k] = v
	}
	c.added = slices.Clone(t.added)
	return &c
}

// marshal writes JSON as Python does for the library: no escapes for HTML.
func marshal(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // strings, numbers and flags
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// clip shortens a token for a message.
func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}
