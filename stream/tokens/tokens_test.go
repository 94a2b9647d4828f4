package tokens

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"weld/format"
	"weld/format/hub"
	"weld/mmapio"
)

func tokenOf(token string) RowSource { return RowSource{Token: token, FromModel: -1, FromID: -1} }

// three are models with vocabularies that differ in every way: order, size, own tokens.
func three(dtypes ...format.DType) []toy {
	toys := []toy{
		{vocab: words("a", "b", "c", "d"), added: []string{"<s>", "</s>"}},
		{vocab: words("b", "a", "c", "x"), added: []string{"<s>", "<x>"}},
		{vocab: words("c", "x", "a", "y", "z"), added: []string{"</s>", "<y>"}, rows: 12},
	}
	for i := range toys {
		if len(dtypes) > 0 {
			toys[i].dtype = dtypes[i%len(dtypes)]
		}
	}
	return toys
}

func TestRows(t *testing.T) {
	all := [][]format.DType{
		{format.F32}, {format.BF16}, {format.F16}, {format.F64}, {format.F8E4M3}, {format.F32, format.BF16, format.F16}, {format.F64, format.F32, format.BF16},
	}
	sources := []RowSource{
		{Token: "a", FromModel: 1, FromID: -1, Force: true},
		{Token: "b", FromModel: 2, FromID: 11, Force: true},
		{Token: "x", FromModel: 1, FromID: -1},
		{Token: "z", FromModel: 1, FromToken: "<x>", FromID: -1},
		{Token: "y", Zero: true, FromModel: -1, FromID: -1},
		{Token: "new", FromModel: 0, FromToken: "b", FromID: -1},
		{Token: "newer", FromModel: 0, FromID: 3},
		tokenOf("none"),
	}
	for _, dtypes := range all {
		made := makeAll(t, three(dtypes...)...)
		for _, source := range []string{SourceBase, SourceUnion} {
			for _, pad := range []int{0, 16} {
				for _, requested := range [][]RowSource{nil, sources} {
					for _, base := range []int{0, -1, 1} {
						t.Run(fmt.Sprint(dtypes, source, pad, len(requested), base), func(t *testing.T) {
							toys := three(dtypes...)
							models := made
							spec := Spec{Source: source, PadToMultipleOf: pad, Tokens: requested}
							v := build(t, spec, models, base)
							n := naive{t: t, toys: toys, models: models, base: base, spec: spec, out: outIDs(t, v)}
							n.size = len(n.out)
							if pad > 1 {
								n.size = (n.size + pad - 1) / pad * pad
							}
							n.check(v)
							if v.Tokens != int64(len(n.out)) {
								t.Errorf("%d tokens of %d", v.Tokens, len(n.out))
							}
						})
					}
				}
			}
		}
	}
}

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

func TestIdentity(t *testing.T) {
	same := toy{vocab: words("a", "b"), added: []string{"<s>"}, rows: 8}
	models := makeAll(t, same, same, toy{vocab: words("a", "b"), added: []string{"<s>"}})
	for _, source := range []string{SourceBase, SourceUnion} {
		v := build(t, Spec{Source: source, PadToMultipleOf: 8}, models, 0)
		for m := range models {
			c, err := v.Wrap(m)
			if err != nil {
				t.Fatal(err)
			}
			if (c == models[m].Checkpoint) != (m < 2) {
				t.Errorf("%s: model %d: %T", source, m, c)
			}
		}
	}
	v := build(t, Spec{Source: SourceBase}, models, 0) // without padding, the rows behind the tokens go
	c, _ := v.Wrap(0)
	if i, _ := c.Find("lm_head.weight"); c.Tensors()[i].Shape[0] != 3 {
		t.Error(c.Tensors()[i])
	}
	if i, _ := c.Find("lm_head.weight"); true {
		if f, _ := format.Stored(c, i); f != nil {
			t.Error("stored")
		}
		if i, _ := c.Find("model.norm.weight"); true {
			if f, _ := format.Stored(c, i); f == nil {
				t.Error("not stored")
			}
		}
		if format.ViewCost(c, 10) < 10+chunkBytes {
			t.Error(format.ViewCost(c, 10))
		}
	}
}

// Only models that have the tensor take part.
func TestMissingEmbedding(t *testing.T) {
	toys := three()
	toys[1].names = []string{"model.embed_tokens.weight"}
	models := makeAll(t, toys...)
	spec := Spec{Source: SourceUnion}
	v := build(t, spec, models, 1)
	n := naive{t: t, toys: toys, models: models, base: 1, spec: spec, out: outIDs(t, v)}
	n.size = len(n.out)
	for m, name := range map[int]string{0: "lm_head.weight", 2: "lm_head.weight", 1: "model.embed_tokens.weight"} {
		c, err := v.Wrap(m)
		if err != nil {
			t.Fatal(err)
		}
		got, want := values(t, c, name), n.without(1, name).matrix(m, name)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("model %d: %v, want %v", m, got, want)
		}
	}
	spec.Tokens = []RowSource{{Token: "new", FromModel: 1, FromToken: "a", FromID: -1}}
	if _, err := Build(spec, models, 0); format.KindOf(err) != format.KindMissing {
		t.Error(err)
	}
}

// without is the naive way where the base does not have the tensor.
func (n naive) without(m int, name string) naive {
	if _, ok := n.models[m].Find(name); !ok && n.base == m {
		n.base = -1
	}
	return n
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

func TestSpecErrors(t *testing.T) {
	models := makeAll(t, three()...)
	for _, s := range []Spec{
		{}, {Source: SourceBase, PadToMultipleOf: -1}, {Source: "no/such/model"},
		{Source: SourceBase, Tokens: []RowSource{tokenOf("")}},
		{Source: SourceBase, Tokens: []RowSource{tokenOf("a"), tokenOf("a")}},
		{Source: SourceBase, Tokens: []RowSource{{Token: "a", FromModel: 3, FromID: -1}}},
		{Source: SourceBase, Tokens: []RowSource{{Token: "a", FromModel: 0, FromID: -1, Zero: true}}},
		{Source: SourceBase, Tokens: []RowSource{{Token: "a", FromModel: -1, FromID: 2}}},
		{Source: SourceBase, Tokens: []RowSource{{Token: "a", FromModel: 1, FromID: 2, FromToken: "b"}}},
		{Source: SourceBase, Tokens: []RowSource{{Token: "a", FromModel: -1, FromID: -1, Force: true}}},
		{Source: SourceBase, Tokens: []RowSource{{Token: "n", FromModel: 1, FromID: -1}}},                        // lacks it
		{Source: SourceBase, Tokens: []RowSource{{Token: "n", FromModel: 1, FromID: 6}}},                         // 6 rows
		{Source: SourceBase, Tokens: []RowSource{{Token: "n", FromModel: 1, FromID: -1, FromToken: "no token"}}}, // unknown
	} {
		if v, err := Build(s, models, 0); err == nil {
			t.Errorf("%+v: %+v", s, v)
		}
	}
	if _, err := Build(Spec{Source: SourceBase}, nil, -1); err == nil {
		t.Error("no models")
	}
}

// Rows that cannot be given are refused when a model is wrapped.
func TestWrapErrors(t *testing.T) {
	dir := func(y toy) string { m := y.make(t, 5); return m.Folder.Path() }
	few, many := toy{vocab: words("a", "b")}, toy{vocab: words("a", "b", "c")}
	matrix := func(y toy, d format.DType, shape ...int64) TokenizedModel {
		return save(t, dir(y), []format.Tensor{{Name: "wte.weight", DType: d, Shape: shape}}, 1)
	}
	for name, c := range map[string]struct {
		models []TokenizedModel
		pad    int
		kind   format.Kind
	}{
		"length":          {[]TokenizedModel{matrix(few, format.F32, 2, 4), matrix(many, format.F32, 3, 5)}, 0, format.KindShape},
		"type":            {[]TokenizedModel{matrix(few, format.I8, 2, 4), matrix(many, format.F32, 3, 4)}, 0, format.KindDType},
		"mean of ints":    {[]TokenizedModel{matrix(few, format.I8, 2, 4)}, 8, format.KindDType},
		"bits":            {[]TokenizedModel{matrix(few, format.F4, 2, 3)}, 4, format.KindDType},
		"ints, same type": {[]TokenizedModel{matrix(few, format.I8, 2, 4), matrix(many, format.I8, 3, 4)}, 0, ""},
	} {
		if c.models[0].Tensors()[0].Shape[0] == 2 && name == "bits" {
			continue // 3 elements of 4 bits: no file can hold it
		}
		v := build(t, Spec{Source: SourceUnion, PadToMultipleOf: c.pad}, c.models, 0)
		_, err := v.Wrap(0)
		if format.KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	none := save(t, dir(few), []format.Tensor{{Name: "x", DType: format.F32, Shape: []int64{4, 4}}}, 1)
	if _, err := Build(Spec{Source: SourceBase}, []TokenizedModel{none}, 0); format.KindOf(err) != format.KindMissing {
		t.Error(err)
	}
	v := build(t, Spec{Source: SourceBase, PadToMultipleOf: 4}, makeAll(t, few), 0)
	c, _ := v.Wrap(0)
	i, _ := c.Find("lm_head.weight")
	for _, r := range [][2]int64{{-1, 1}, {0, 81}, {80, 1}, {81, 0}, {0, -1}} {
		if _, err := c.View(i, r[0], r[1]); err == nil {
			t.Error(r)
		}
	}
}

func TestImportance(t *testing.T) {
	toys := three()
	models := makeAll(t, toys...)
	v := build(t, Spec{Source: SourceUnion, PadToMultipleOf: 16, Tokens: []RowSource{{Token: "a", FromModel: 1, FromID: -1, Force: true}}}, models, 0)
	c, err := v.WrapImportance(2, models[2].Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	own, got := values(t, models[2].Checkpoint, "lm_head.weight"), values(t, c, "lm_head.weight")
	want := make([][]float64, v.Size)
	for r := range want {
		want[r] = make([]float64, hidden)
		if r >= 11 && r < 12 {
			want[r] = own[r]
		}
	}
	for w, id := range toys[2].ids() {
		if w != "a" {
			want[outIDs(t, v)[w]] = own[id]
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
	if _, err := v.WrapImportance(2, models[0].Checkpoint); format.KindOf(err) != format.KindShape {
		t.Error(err)
	}
}

// TestLong has rows longer than a segment and an embedding larger than a chunk.
func TestLong(t *testing.T) {
	const length = 3*segment + 7
	toys := []toy{{vocab: words("a", "b", "c", "d", "e")}, {vocab: words("e", "d", "q")}, {vocab: words("f", "q", "g")}}
	var models []TokenizedModel
	for i, d := range []format.DType{format.BF16, format.F16, format.BF16} {
		m := toys[i].make(t, 1)
		models = append(models, save(t, m.Folder.Path(), []format.Tensor{{Name: "wte.weight", DType: d, Shape: []int64{80, length}}}, uint64(i)))
	}
	spec := Spec{Source: SourceUnion, PadToMultipleOf: 100}
	v := build(t, spec, models, -1)
	naive{t: t, toys: toys, models: models, base: -1, spec: spec, out: outIDs(t, v), size: 100}.check(v)
}

func TestConcurrent(t *testing.T) {
	toys := three(format.BF16, format.F16, format.F32)
	models := makeAll(t, toys...)
	v := build(t, Spec{Source: SourceUnion, PadToMultipleOf: 64}, models, -1)
	reference := build(t, Spec{Source: SourceUnion, PadToMultipleOf: 64}, models, -1)
	var group sync.WaitGroup
	c, err := v.Wrap(0)
	if err != nil {
		t.Fatal(err)
	}
	one, _ := reference.Wrap(0)
	i, _ := c.Find("lm_head.weight")
	all, _ := whole(t, one, "lm_head.weight")
	for range 8 {
		group.Go(func() {
			if _, err := v.Wrap(1); err != nil {
				t.Error(err)
			}
			checkRanges(t, c, i, all)
		})
	}
	group.Wait()
}

// A checkpoint that fails makes an error with path and tensor, also when a mean is taken.
func TestFailure(t *testing.T) {
	models := makeAll(t, three()...)
	models[1].Checkpoint = broken{models[1].Checkpoint}
	v := build(t, Spec{Source: SourceUnion, PadToMultipleOf: 64}, models, 1)
	c, err := v.Wrap(0)
	if err != nil {
		t.Fatal(err)
	}
	i, _ := c.Find("lm_head.weight")
	for _, off := range []int64{0, 63 * 4 * hidden} {
		_, err = c.View(i, off, 4*hidden)
		if off == 0 {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), "lm_head.weight") || !strings.Contains(err.Error(), models[0].Path) || !strings.Contains(err.Error(), "broken disk") {
			t.Error(err)
		}
	}
}

type broken struct{ format.Checkpoint }

func (broken) View(int, int64, int64) (mmapio.View, error) {
	return mmapio.View{}, fmt.Errorf("broken disk")
}

func TestIsEmbedding(t *testing.T) {
	for name, want := range map[string]bool{
		"model.embed_tokens.weight": true, "transformer.wte.weight": true, "lm_head.weight": true, "output.weight": true, "model.tok_embeddings.weight": true,
		"bert.embeddings.word_embeddings.weight": true, "gpt_neox.embed_in.weight": true, "embed_out.weight": true, "backbone.embeddings.weight": true,
		"layers.0.wte.weight": true, "transformer.wpe.weight": false, "bert.embeddings.position_embeddings.weight": false, "model.layers.3.output.weight": false,
		"model.norm.weight": false, "my_lm_head.weight": false, "embed_tokens.weight.scale": false, "model.embed_tokens_per_layer.weight": false,
	} {
		if got := IsEmbedding(format.Tensor{Name: name, Shape: []int64{9, 2}}); got != want {
			t.Errorf("%s: %v", name, got)
		}
		if IsEmbedding(format.Tensor{Name: name}) || IsEmbedding(format.Tensor{Name: name, Shape: []int64{9}}) {
			t.Errorf("%s: a scalar or vector", name)
		}
	}
	if !IsEmbedding(format.Tensor{Name: "lm_head.bias", Shape: []int64{9}}) || IsEmbedding(format.Tensor{Name: "lm_head.bias", Shape: []int64{9, 9}}) {
		t.Error("lm_head.bias")
	}
}

func TestChatTemplate(t *testing.T) {
	y := func(files map[string]string) toy { return toy{vocab: words("a"), files: files} }
	models := makeAll(t,
		y(nil), y(map[string]string{configName: `{"chat_template": "{{ one }}"}`}),
		y(map[string]string{configName: `{"chat_template": [{"name":"rag","template":"r"},{"name":"default","template":" {{ two }}\n"}]}`}),
		y(map[string]string{templateName: "{{ two }}", configName: `{"chat_template": "{{ one }}"}`}),
		y(map[string]string{configName: `{"chat_template": {"default": 3}}`}))
	path := filepath.Join(t.TempDir(), "x.jinja")
	if err := os.WriteFile(path, []byte("from a file\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ spec, config, template, out string }{
		{"auto", `{"a":1}`, "{{ two }}", "{\"a\":1,\n    \"chat_template\": \"{{ two }}\"}"},
		{"{% if \"<x>\" %}", `{"chat_template": [1, 2], "b":2}`, "{% if \"<x>\" %}", `{"chat_template": "{% if \"<x>\" %}", "b":2}`},
		{path, ``, "from a file\n", ""},
		{"", `{}`, "", ""},
	} {
		var config []byte
		if c.config != "" {
			config = []byte(c.config)
		}
		files, err := ChatTemplate(c.spec, models, config)
		if err != nil || string(files[templateName]) != c.template || string(files[configName]) != c.out {
			t.Errorf("%q: %q, %v", c.spec, files, err)
		}
	}
	if files, err := ChatTemplate("auto", models[:1], nil); len(files) != 0 || err != nil {
		t.Error(files, err)
	}
	if files, _ := ChatTemplate("auto", models[1:3], nil); string(files[templateName]) != "{{ one }}" {
		t.Errorf("%s", files)
	}
	for _, spec := range []string{"ChatML", "x.jinja", "hello", "Auto"} {
		if _, err := ChatTemplate(spec, models, nil); err == nil {
			t.Error(spec)
		} else if spec == "ChatML" && !strings.Contains(err.Error(), "expected auto, alpaca, chatml, exaone, llama3, mistral, ") {
			t.Error(err)
		}
	}
	if _, err := ChatTemplate("{{ x }}", nil, []byte("nonsense")); format.KindOf(err) != format.KindJSON {
		t.Error(err)
	}
}

// Rows behind the tokens are left out as in mergekit, which is said, with the multiple that keeps them.
func TestSpareRowsAreSaid(t *testing.T) {
	models := makeAll(t, toy{vocab: words("a", "b", "c"), rows: 12}, toy{vocab: words("a", "b", "c")})
	for _, source := range []string{SourceBase, SourceUnion} {
		v := build(t, Spec{Source: source}, models, 0)
		said := slices.ContainsFunc(v.Notes, func(note string) bool {
			return strings.HasPrefix(note, models[0].Path+": 12 rows of embeddings become 3: ") && strings.HasSuffix(note, "pad_to_multiple_of: 12 keeps them")
		})
		if v.Size != 3 || !said {
			t.Errorf("%s: %d rows, notes %q", source, v.Size, v.Notes)
		}
		kept := build(t, Spec{Source: source, PadToMultipleOf: 12}, models, 0)
		c, err := kept.Wrap(0)
		if err != nil || kept.Size != 12 || c != models[0].Checkpoint {
			t.Errorf("%s: padded to %d rows, %T (%v): not what it was", source, kept.Size, c, err)
		}
		for _, note := range append(kept.Notes, build(t, Spec{Source: source}, models, 1).Notes...) {
			if strings.Contains(note, "rows of embeddings become") {
				t.Errorf("%s: no row is lost: %s", source, note)
			}
		}
	}
}
