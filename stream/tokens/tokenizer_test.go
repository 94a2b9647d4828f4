package tokens

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weld/format"
	"weld/format/hub"
)

// What transformers adds to the library's tokens counts, and what is added here goes to
// all lists, so that ids stay.
func TestExtraTokens(t *testing.T) {
	y := toy{vocab: words("a"), added: []string{"<s>"}, rows: 4, files: map[string]string{configName: `{"added_tokens_decoder": {"1": {"content": "<s>"}, "3": {"content": "<u>"}, "2": {"content": "<t>", "special": true}}}`}}
	old := toy{vocab: words("a"), rows: 3, files: map[string]string{configName: `{}`, addedName: `{"<v>": 2, "<w>": 1}`}}
	models := makeAll(t, y, old)
	v := build(t, Spec{Source: SourceUnion}, models, 0)
	if got := inOrder(outIDs(t, v)); got != "[0:a 1:<s> 2:<t> 3:<u> 4:<w> 5:<v>]" {
		t.Error(got)
	}
	v = build(t, Spec{Source: SourceUnion}, models, 1)
	if got := inOrder(outIDs(t, v)); got != "[0:a 1:<w> 2:<v> 3:<s> 4:<t> 5:<u>]" {
		t.Error(got)
	}
	if got := string(v.Files[addedName]); !strings.Contains(got, `"<u>": 5`) {
		t.Error(got)
	}
}

func TestNoTokenizer(t *testing.T) {
	y := toy{vocab: words("a", "b"), bare: true}
	models := makeAll(t, toy{vocab: words("a", "b")}, y)
	v := build(t, Spec{Source: SourceUnion}, models, 0)
	if c, _ := v.Wrap(1); c != models[1].Checkpoint || len(v.Notes) != 1 {
		t.Error(v.Notes)
	}
	if _, err := Build(Spec{Source: SourceUnion}, models, 1); format.KindOf(err) != format.KindMissing {
		t.Error(err)
	}
	if _, err := Build(Spec{Source: models[1].Path}, models, 0); format.KindOf(err) != format.KindMissing {
		t.Error(err)
	}
	y.files = map[string]string{"tokenizer.model": "\x00"}
	models[1] = y.make(t, 3)
	_, err := Build(Spec{Source: SourceUnion}, models, 0)
	if format.KindOf(err) != format.KindUnsupported || !strings.Contains(err.Error(), "save_pretrained") {
		t.Error(err)
	}
}

func TestDamagedTokenizers(t *testing.T) {
	model := toy{vocab: words("a")}.make(t, 1)
	for doc, kind := range map[string]format.Kind{
		"":               format.KindJSON,
		"\xff":           format.KindUTF8,
		"[]":             format.KindType,
		"{":              format.KindJSON,
		"{}":             format.KindKey,
		"{}{}":           format.KindJSON,
		`{"model":null}`: format.KindKey, `{"model":{}}`: format.KindKey,
		`{"model":{"vocab":null}}`: format.KindType, `{"model":{"vocab":7}}`: format.KindType,
		`{"model":{"vocab":{"a":"0"}}}`: format.KindType, `{"model":{"vocab":{"a":0.5}}}`: format.KindType,
		`{"model":{"vocab":{"a":-1}}}`: format.KindOverflow, `{"model":{"vocab":{"a":99999999999999999999}}}`: format.KindType,
		`{"model":{"vocab":{"a":2147483647}}}`:                                                 format.KindOverflow,
		`{"model":{"vocab":{"a":0,"a":1}}}`:                                                    format.KindDuplicate,
		`{"model":{"vocab":[["a"],"b"]}}`:                                                      format.KindType,
		`{"model":{"vocab":[[1,2]]}}`:                                                          format.KindType,
		`{"model":{"vocab":{}}}`:                                                               format.KindSize,
		`{"model":{"vocab":{"a":0}},"added_tokens":{}}`:                                        format.KindType,
		`{"model":{"vocab":{"a":0}},"added_tokens":[1]}`:                                       format.KindType,
		`{"model":{"vocab":{"a":0}},"added_tokens":[{}]}`:                                      format.KindKey,
		`{"model":{"vocab":{"a":0}},"added_tokens":[{"id":1}]}`:                                format.KindKey,
		`{"model":{"vocab":{"a":0}},"added_tokens":[{"id":1,"content":"x","special":"true"}]}`: format.KindType,
		strings.Repeat("[", 20000):                                                             format.KindJSON,
	} {
		write(t, model.Folder.Path(), tokenizerName, doc)
		if _, err := Build(Spec{Source: SourceBase}, []TokenizedModel{model}, 0); format.KindOf(err) != kind {
			t.Errorf("%.60s: %v, want %s", doc, err, kind)
		}
	}
	f, err := os.Create(filepath.Join(model.Folder.Path(), tokenizerName))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(hub.MaxSidecar + 1); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, err := Build(Spec{Source: SourceBase}, []TokenizedModel{model}, 0); format.KindOf(err) != format.KindSize {
		t.Error(err)
	}
}

// FuzzTokenizer reads, strips and extends whatever it is given.
func FuzzTokenizer(f *testing.F) {
	f.Add([]byte(three()[0].tokenizerJSON()), []byte(`{"added_tokens_decoder":{"9":{"content":"x"}}}`), uint16(3))
	f.Add([]byte(`{"added_tokens":[{"id":5,"content":"<s>"}],"model":{"vocab":{"a":0,"b":1,"ab":2},"merges":[["a","b"],"b c"]}}`), []byte(`{}`), uint16(2))
	f.Add([]byte(`{"model":{"vocab":[["a",0],["\u00e9",1]]}}`), []byte(`{ }`), uint16(1))
	f.Fuzz(func(t *testing.T, doc, config []byte, limit uint16) {
		files := map[string][]byte{tokenizerName: doc, configName: config}
		k, err := reload(format.Folder{}, files)
		if err != nil {
			return
		}
		if s, err := strip(k, files, int32(limit)); err == nil {
			k = s
		} else {
			files = map[string][]byte{tokenizerName: doc, configName: config}
		}
		grown := k.clone()
		grown.register(plain("a new \"token\""))
		if err := extend(grown, files); err != nil {
			t.Fatal(err)
		}
		again, err := reload(format.Folder{}, files)
		if err != nil {
			t.Fatalf("%v: %s", err, files[tokenizerName])
		}
		for w, id := range grown.ids {
			if again.ids[w] != id {
				t.Fatalf("%q: %d, want %d", w, again.ids[w], id)
			}
		}
	})
}
