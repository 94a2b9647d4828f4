package llamacpp

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"weld/format"
)

// tokenizerJSON is what is looked at of a tokenizer.json.
type tokenizerJSON struct {
	Added []struct {
		ID      int
		Content string
		Special bool
	} `json:"added_tokens"`
	Normalizer    any `json:"normalizer"`
	PreTokenizer  any `json:"pre_tokenizer"`
	PostProcessor any `json:"post_processor"`
	Model         struct {
		Vocab  map[string]int
		Merges [][2]string
		Unk    *string `json:"unk_token"`
		Whole  bool    `json:"ignore_merges"`
	}
}

// tokenizerOf is what is written of a model's.
func tokenizerOf(t *testing.T, h *Hub) (x tokenizerJSON, config map[string]any) {
	t.Helper()
	files, err := h.FilesBeside(format.BF16)
	if err != nil || len(files) != 3 || files[1].Name != "tokenizer.json" || files[2].Name != "tokenizer_config.json" {
		t.Fatal(len(files), err, h.Notes)
	}
	if err := json.Unmarshal(files[1].Content, &x); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(files[2].Content, &config); err != nil {
		t.Fatal(err)
	}
	return x, config
}

// encode makes tokens of a text without cutting it: as tokenizers of SentencePiece do.
func (x *tokenizerJSON) encode(text string) (ids []int) {
	ranks := make(map[[2]string]int)
	for i, m := range x.Model.Merges {
		ranks[m] = i
	}
	pieces := strings.Split(text, "")
	for {
		best, at := len(ranks), -1
		for i := range len(pieces) - 1 {
			if r, ok := ranks[[2]string{pieces[i], pieces[i+1]}]; ok && r < best {
				best, at = r, i
			}
		}
		if at < 0 {
			break
		}
		pieces = slices.Replace(pieces, at, at+2, pieces[at]+pieces[at+1])
	}
	for _, p := range pieces {
		id, ok := x.Model.Vocab[p]
		if !ok {
			id = x.Model.Vocab[*x.Model.Unk]
		}
		ids = append(ids, id)
	}
	return ids
}

// Merges that a vocabulary of SentencePiece implies make the tokens that SentencePiece makes.
func TestImpliedMerges(t *testing.T) {
	for name, prefix := range map[string]string{"llama": space, "mixtral": space, "gemma": "", "gemma3": ""} {
		var want struct{ Texts map[string][]int }
		x, _ := tokenizerOf(t, inHub(t, name))
		readWantedInto(t, name, &want)
		for text, ids := range want.Texts {
			if strings.Contains(text, "<turn>") { // is matched before
				continue
			}
			if got := x.encode(prefix + strings.ReplaceAll(text, " ", space)); !slices.Equal(got, ids[1:]) {
				t.Errorf("%s: %q is %v, want %v", name, text, got, ids[1:])
			}
		}
		if len(want.Texts) < 3 {
			t.Errorf("%s: no texts", name)
		}
	}
}

// What is said of tokens, how text is cut, and what is put around it, is in the files.
func TestTokenizerFiles(t *testing.T) {
	for _, c := range []struct{ name, pre, post, added string }{
		{"llama", `null`, `"TemplateProcessing"`, "<unk> true, <s> true, </s> true"},
		{"gemma", `"MergedWithPrevious"`, `"TemplateProcessing"`, "<pad> true, <eos> true, <bos> true, <unk> true, <turn> true"},
		{"llama3", `{1,3}`, `"TemplateProcessing"`, "<|bos|> true, <|eos|> true, <think> false"},
		{"qwen2", `|\\p{N}| `, `"ByteLevel"`, "<|bos|> true, <|eos|> true, <think> false, <|endoftext|> true"},
	} {
		x, config := tokenizerOf(t, inHub(t, c.name))
		var added []string
		for _, a := range x.Added {
			added = append(added, fmt.Sprint(a.Content, " ", a.Special))
			if x.Model.Vocab[a.Content] != a.ID {
				t.Errorf("%s: %v is %d in the vocabulary", c.name, a, x.Model.Vocab[a.Content])
			}
		}
		if got := strings.Join(added, ", "); got != c.added {
			t.Errorf("%s: added are %s, want %s", c.name, got, c.added)
		}
		for what, part := range map[string]any{c.pre: x.PreTokenizer, c.post: x.PostProcessor} {
			if text, _ := json.Marshal(part); !strings.Contains(string(text), what) {
				t.Errorf("%s: %s has no %s", c.name, text, what)
			}
		}
		if x.Model.Whole != (c.name == "llama3") {
			t.Errorf("%s: ignore_merges is %v", c.name, x.Model.Whole)
		}
		for token := range x.Model.Vocab {
			if strings.HasPrefix(token, "[PAD") {
				t.Errorf("%s has %s, which is no token", c.name, token)
			}
		}
		if config["chat_template"] != "{% for m in messages %}<{{ m.role }}> {{ m.content }}\n{% endfor %}" || config["bos_token"] == nil || config["eos_token"] == nil {
			t.Errorf("%s: %v", c.name, config)
		}
	}
}

// A tokenizer of which GGUF does not say enough is not written, and a note says where to have it from.
func TestTokenizerThatIsNotWritten(t *testing.T) {
	for _, c := range []struct {
		name string
		keys map[string]any
		says string
	}{
		{"llama3", map[string]any{"tokenizer.ggml.pre": "strange"}, `its tokenizer is not written: tokenizer.ggml.pre is "strange", and weld does not know how such text is cut; copy tokenizer.json and tokenizer_config.json from the model that it was made of`},
		{"llama3", map[string]any{"tokenizer.ggml.pre": gone{}}, `tokenizer.ggml.pre is ""`},
		{"llama3", map[string]any{"tokenizer.ggml.merges": gone{}}, "it has no list of merges"},
		{"llama3", map[string]any{"tokenizer.ggml.merges": []string{"a"}}, `merge 0 is "a", and not of two tokens`},
		{"llama3", map[string]any{"tokenizer.ggml.merges": []string{"q x"}}, `merge 0 has "qx", which is no token`},
		{"llama3", map[string]any{"tokenizer.ggml.model": gone{}}, "it has none"},
		{"llama3", map[string]any{"tokenizer.ggml.model": "rwkv"}, `tokenizer.ggml.model is "rwkv", and weld writes those of gpt2 and llama`},
		{"llama3", map[string]any{"tokenizer.ggml.token_type": []int{1}}, "tokenizer.ggml.token_type is no list of as many numbers as tokens"},
		{"llama3", map[string]any{"tokenizer.ggml.bos_token_id": 1 << 30}, "a token is added to texts, and tokenizer.ggml.bos_token_id is none"},
		{"llama3", map[string]any{"tokenizer.ggml.tokens": gone{}}, "it has no list of tokens"},
		{"llama", map[string]any{"tokenizer.ggml.scores": gone{}}, "its tokens have no scores"},
		{"llama", map[string]any{"tokenizer.ggml.token_type": gone{}}, "none of its tokens stands for what is unknown"},
		{"llama", map[string]any{"general.source.huggingface.repository": "org/model", "tokenizer.ggml.scores": gone{}}, "(general.source.huggingface.repository: org/model)"},
	} {
		file := edited(t, c.name, c.keys)
		h, err := ToHub(file, file)
		if err != nil {
			t.Fatal(c.keys, err)
		}
		files, err := h.FilesBeside(format.BF16)
		if err != nil || len(files) != 1 || len(h.Notes) != 1 || !strings.Contains(h.Notes[0], c.says) {
			t.Errorf("%v: %d files, %v, notes %q; want %q", c.keys, len(files), err, h.Notes, c.says)
		}
	}
}

// Tokens twice, or none of UTF-8, are no vocabulary.
func TestTokensThatAreNone(t *testing.T) {
	tokens := make([]string, 96)
	for i := range tokens {
		tokens[i] = fmt.Sprint("t", i)
	}
	for text, says := range map[string]string{"t1": `tokens 1 and 7 are both "t1"`, "\xff": "token 7 is no UTF-8"} {
		tokens[7] = text
		file := edited(t, "llama3", map[string]any{"tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": gone{}})
		h, err := ToHub(file, file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.FilesBeside(format.BF16); err != nil || len(h.Notes) != 1 || !strings.Contains(h.Notes[0], says) {
			t.Errorf("%v, %q; want %q", err, h.Notes, says)
		}
	}
}

// Runs of spaces are spelt as the Hub has them, unless that is another token, or a single space.
func TestRespelt(t *testing.T) {
	l := &tokenList{texts: []string{"  ", "▁▁", "   ", " ", " a"}, ids: map[string]int32{"  ": 0, "▁▁": 1, "   ": 2, " ": 3, " a": 4}}
	l.respell()
	if want := []string{"  ", "▁▁", "▁▁▁", " ", " a"}; !slices.Equal(l.texts, want) || l.ids["▁▁"] != 1 || l.ids["▁▁▁"] != 2 || l.ids["  "] != 0 || len(l.ids) != 5 {
		t.Errorf("%q, %v; want %q", l.texts, l.ids, want)
	}
}

// A vocabulary of SentencePiece begins texts with a token where the file does not say, and the second of two texts is told from the first.
func TestProcessors(t *testing.T) {
	file := edited(t, "llama", map[string]any{addBOSKey: gone{}, addEOSKey: gone{}})
	h, err := ToHub(file, file)
	if err != nil {
		t.Fatal(err)
	}
	x, _ := tokenizerOf(t, h)
	const want = `"pair":[{"SpecialToken":{"id":"\u003cs\u003e","type_id":0}},{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"\u003cs\u003e","type_id":1}},{"Sequence":{"id":"B","type_id":1}}]`
	if text, _ := json.Marshal(x.PostProcessor); !strings.Contains(string(text), want) {
		t.Errorf("%s has no %s", text, want)
	}
}

// Text is quoted as JSON.
func TestQuoted(t *testing.T) {
	for _, text := range []string{"", "a", `"\`, "\n\t\x00\x1f\x7f", "▁ä", "<&>"} {
		var got string
		if err := json.Unmarshal(appendQuoted(nil, text), &got); err != nil || got != text {
			t.Errorf("%q became %q, %v", text, got, err)
		}
	}
}

// Numbers of float32 are written in the digits that were meant.
func TestSingle(t *testing.T) {
	for x, want := range map[float32]string{1e-5: "1e-05", 1e-6: "1e-06", 10000: "10000.0", 5e5: "500000.0", 0.1: "0.1", 8: "8.0", 1e20: "1e+20"} {
		if got, err := json.Marshal(single(float64(x))); err != nil || string(got) != want {
			t.Errorf("%v is %s, want %s: %v", x, got, want, err)
		}
	}
}
