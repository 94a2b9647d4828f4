package tokens

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weld/format"
)

func TestUnionOrder(t *testing.T) {
	models := makeAll(t, three()...)
	v := build(t, Spec{Source: SourceUnion, Tokens: []RowSource{tokenOf("new"), tokenOf("a")}}, models, 0)
	const want = "[0:a 1:b 2:c 3:d 4:<s> 5:</s> 6:x 7:y 8:z 9:<x> 10:<y> 11:new]"
	if got := inOrder(outIDs(t, v)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if raw := string(v.Files[tokenizerName]); !strings.Contains(raw, `{"id":9,"content":"<x>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}`) ||
		!strings.Contains(raw, `{"id":6,"content":"x","single_word":false,"lstrip":false,"rstrip":false,"normalized":true,"special":false}`) {
		t.Error(raw)
	}
	again := build(t, Spec{Source: SourceUnion, Tokens: []RowSource{tokenOf("new"), tokenOf("a")}}, models, 0)
	if !bytes.Equal(v.Files[tokenizerName], again.Files[tokenizerName]) {
		t.Error("two unions differ")
	}
}

// A token that the base knows as a word and another model as an added token becomes one.
func TestUnionRegisters(t *testing.T) {
	toys := []toy{{vocab: words("a", "<x>")}, {vocab: words("a"), added: []string{"<x>", "<y>"}}}
	v := build(t, Spec{Source: SourceUnion}, makeAll(t, toys...), 0)
	if got, want := inOrder(outIDs(t, v)), "[0:a 1:<x> 2:<y>]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if !strings.Contains(string(v.Files[tokenizerName]), `{"id":1,"content":"<x>"`) {
		t.Error("not registered")
	}
}

func TestFilesAreCopies(t *testing.T) {
	toys := three()
	toys[0].files = map[string]string{configName: " {\"model_max_length\": 1e30}\n", "special_tokens_map.json": "{}", "tokenizer.model": "\x00", "additional_chat_templates/t.jinja": "x", "config.json": "{}"}
	toys[1].files = map[string]string{"chat_template.jinja": "hello"}
	models := makeAll(t, toys...)
	for source, m := range map[string]int{SourceBase: 0, models[1].Path: 1} {
		v := build(t, Spec{Source: source}, models, 0)
		entries := 0
		for name, data := range v.Files {
			want, err := os.ReadFile(filepath.Join(models[m].Folder.Path(), name))
			if err != nil || !bytes.Equal(data, want) {
				t.Errorf("%s: %s is no copy: %v", source, name, err)
			}
			if !IsTokenizerFile(name) {
				t.Errorf("%s", name)
			}
			entries++
		}
		if want := []int{5, 2}[m]; entries != want { // all but config.json
			t.Errorf("%s: %d files, want %d", source, entries, want)
		}
	}
	// A model that is no input.
	other := toy{vocab: words("q", "a")}.make(t, 9)
	v := build(t, Spec{Source: other.Path}, models, 0)
	if v.Size != 2 {
		t.Errorf("size %d", v.Size)
	}
}

// Holes in the ids: their rows stay where nobody uses them, and else are means.
func TestHoles(t *testing.T) {
	toys := []toy{
		{vocab: map[string]int{"a": 0, "b": 2, "c": 5}},
		{vocab: words("a", "b", "c", "d")},
		{vocab: map[string]int{"a": 0, "b": 2, "c": 5}},
	}
	models := makeAll(t, toys...)
	spec := Spec{Source: SourceBase}
	v := build(t, spec, models, 0)
	naive{t: t, toys: toys, models: models, base: 0, spec: spec, out: toys[0].vocab, size: 6}.check(v)
	if v.Tokens != 3 {
		t.Error(v.Tokens)
	}
	for _, m := range []int{0, 2} {
		if c, _ := v.Wrap(m); c != models[m].Checkpoint {
			t.Error("changed")
		}
	}
	// The library would give the new tokens the ids 3 and 4, and then 5, which is taken.
	if v := build(t, Spec{Source: SourceUnion, Tokens: []RowSource{tokenOf("e")}}, models, 0); inOrder(outIDs(t, v)) != "[0:a 2:b 3:d 4:e 5:c]" {
		t.Error(inOrder(outIDs(t, v)))
	}
	_, err := Build(Spec{Source: SourceUnion, Tokens: []RowSource{tokenOf("e"), tokenOf("f")}}, models, 0)
	if format.KindOf(err) != format.KindUnsupported || !strings.Contains(err.Error(), "holes") {
		t.Error(err)
	}
}

func TestDuplicateIDs(t *testing.T) {
	toys := []toy{{vocab: map[string]int{"a": 0, "b": 1, "c": 1, "d": 2}, added: []string{"c"}}, {vocab: words("c", "b", "a", "d")}}
	models := makeAll(t, toys...)
	v := build(t, Spec{Source: SourceBase}, models, 0)
	c, err := v.Wrap(1)
	if err != nil {
		t.Fatal(err)
	}
	own, got := values(t, models[1].Checkpoint, "lm_head.weight"), values(t, c, "lm_head.weight")
	if fmt.Sprint(got) != fmt.Sprint([][]float64{own[2], own[0], own[3]}) {
		t.Error(got)
	}
	if len(v.Notes) == 0 {
		t.Error("no note")
	}
}

// Tokens without a row are taken out of the base's files.
func TestStrip(t *testing.T) {
	y := toy{vocab: words("a", "b", "ab", "c", "bc"), added: []string{"<s>", "<t>"}, rows: 3, files: map[string]string{
		configName: `{"added_tokens_decoder": {"5": {"content": "<s>"}, "1": {"content": "b"}}, "x": 1}`, addedName: `{"<s>": 5}`, "vocab.json": "{}"}}
	other := toy{vocab: words("b", "a", "c", "<s>")}
	models := makeAll(t, y, other)
	bpe := `{"added_tokens":[{"id":5,"content":"<s>"},{"id":1,"content":"b"}],"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"c":3,"bc":4},"merges":[["a","b"],"b c"]}}`
	write(t, models[0].Folder.Path(), tokenizerName, bpe)
	v := build(t, Spec{Source: SourceBase}, models, 0)
	if v.Size != 3 || inOrder(outIDs(t, v)) != "[0:a 1:b 2:ab]" {
		t.Error(v.Size, inOrder(outIDs(t, v)))
	}
	const want = `{"added_tokens":[
{"id":1,"content":"b"}],"model":{"type":"BPE","vocab":{
"a": 0,
"b": 1,
"ab": 2},"merges":[
["a","b"]]}}`
	if got := string(v.Files[tokenizerName]); got != want {
		t.Error(got)
	}
	if v.Files["vocab.json"] != nil || string(v.Files[addedName]) != "{}" || string(v.Files[configName]) != "{\"added_tokens_decoder\": {\n\"1\": {\"content\": \"b\"}}, \"x\": 1}" {
		t.Errorf("%s %s", v.Files[configName], v.Files[addedName])
	}
	// config.json has the last word on how many rows are in use; Unigram has a list.
	unigram := toy{vocab: words("a", "b", "c", "d"), files: map[string]string{"config.json": `{"vocab_size": 9, "text_config": {"vocab_size": 3}}`}}.make(t, 1)
	write(t, unigram.Folder.Path(), tokenizerName, `{"model":{"type":"Unigram","vocab":[["a",0.0],["b",-1],["c",-2.5],["d",-3]]}}`)
	v = build(t, Spec{Source: SourceUnion, Tokens: []RowSource{tokenOf("<n>")}}, []TokenizedModel{unigram}, -1)
	if inOrder(outIDs(t, v)) != "[0:a 1:b 2:c 3:<n>]" {
		t.Error(inOrder(outIDs(t, v)))
	}
}
