package tokens

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"testing"

	"weld/format"
	"weld/format/open"
	"weld/format/safetensors"
	"weld/mmapio"
)

// toy is a small model: tokens of its vocabulary with their ids, added tokens, and
// embeddings of random values.
type toy struct {
	vocab map[string]int
	added []string // appended in order; ids follow the library's rule
	rows  int      // of the embeddings; 0 for as many as tokens
	dtype format.DType
	files map[string]string // beside the model
	bare  bool              // no tokenizer.json
	names []string          // of the embeddings; nil for the usual
}

const hidden = 5

func words(list ...string) map[string]int {
	m := make(map[string]int)
	for i, w := range list {
		m[w] = i
	}
	return m
}

// ids is the vocabulary as the library sees it, by the words of the documentation.
func (y toy) ids() map[string]int {
	all, last := make(map[string]int), -1
	for w, id := range y.vocab {
		all[w] = id
	}
	for _, a := range y.added {
		if _, ok := all[a]; !ok {
			all[a] = len(y.vocab)
			if last >= len(y.vocab) {
				all[a] = last + 1
			}
		}
		last = max(last, all[a])
	}
	return all
}

func (y toy) tokenizerJSON() string {
	list := []map[string]any{}
	ids := y.ids()
	for _, a := range y.added {
		list = append(list, map[string]any{"id": ids[a], "content": a, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true})
	}
	raw, _ := json.MarshalIndent(map[string]any{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": list, "normalizer": nil, "pre_tokenizer": map[string]any{"type": "Whitespace"},
		"post_processor": nil, "decoder": nil,
		"model": map[string]any{"type": "WordLevel", "vocab": y.vocab, "unk_token": "a"},
	}, "", "  ")
	return string(raw)
}

func write(t testing.TB, dir, name, data string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(data), 0o666)); err != nil {
		t.Fatal(err)
	}
}

// make writes the model and opens it.
func (y toy) make(t testing.TB, seed uint64) TokenizedModel {
	t.Helper()
	dir := t.TempDir()
	rows := y.rows
	if rows == 0 {
		for _, id := range y.ids() {
			rows = max(rows, id+1)
		}
	}
	if !y.bare {
		write(t, dir, tokenizerName, y.tokenizerJSON())
	}
	for name, data := range y.files {
		write(t, dir, name, data)
	}
	if y.dtype == format.Invalid {
		y.dtype = format.F32
	}
	names := y.names
	if names == nil {
		names = []string{"model.embed_tokens.weight", "lm_head.weight", "lm_head.bias"}
	}
	tensors := []format.Tensor{{Name: "model.norm.weight", DType: format.F32, Shape: []int64{hidden}}}
	for _, n := range names {
		shape := []int64{int64(rows), hidden}
		if filepath.Ext(n) == ".bias" {
			shape = shape[:1]
		}
		tensors = append(tensors, format.Tensor{Name: n, DType: y.dtype, Shape: shape})
	}
	return save(t, dir, tensors, seed)
}

func save(t testing.TB, dir string, tensors []format.Tensor, seed uint64) TokenizedModel {
	t.Helper()
	layout, err := safetensors.NewLayout(tensors, nil, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	w, err := safetensors.NewWriter(layout, []safetensors.Target{f})
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(seed, 1))
	for i, x := range tensors {
		values := make([]float64, x.Elements())
		for k := range values {
			values[k] = r.NormFloat64()
		}
		data := make([]byte, x.Bytes())
		if x.DType.Computable() {
			format.Encode(x.DType, data, values)
		} else {
			for k := range data {
				data[k] = byte(r.Uint32())
			}
		}
		if err := w.WriteAt(i, 0, data); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	c, err := open.Checkpoint(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return TokenizedModel{Path: dir, Folder: format.Directory(dir), Checkpoint: c}
}

func makeAll(t testing.TB, toys ...toy) (models []TokenizedModel) {
	t.Helper()
	for i, y := range toys {
		models = append(models, y.make(t, uint64(i+1)))
	}
	return models
}

func build(t testing.TB, spec Spec, models []TokenizedModel, base int) *Vocabulary {
	t.Helper()
	v, err := Build(spec, models, base)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// whole reads a tensor in one view.
func whole(t testing.TB, c format.Checkpoint, name string) ([]byte, format.Tensor) {
	t.Helper()
	i, ok := c.Find(name)
	if !ok {
		t.Fatalf("no tensor %q", name)
	}
	x := c.Tensors()[i]
	v, err := c.View(i, 0, x.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	defer v.Release()
	var out []byte
	if err := mmapio.Guard([]mmapio.View{v}, func() error { out = append(out, v.Data...); return nil }); err != nil {
		t.Fatal(err)
	}
	return out, x
}

// values reads a tensor as rows of numbers.
func values(t testing.TB, c format.Checkpoint, name string) [][]float64 {
	t.Helper()
	raw, x := whole(t, c, name)
	flat := make([]float64, x.Elements())
	format.Decode(x.DType, flat, raw)
	rows := make([][]float64, x.Shape[0])
	for r := range rows {
		n := int(x.RowLen())
		rows[r] = flat[r*n : (r+1)*n]
	}
	return rows
}

func round(d format.DType, row []float64) []float64 {
	raw := make([]byte, len(row)*d.Bits()/8)
	format.Encode(d, raw, row)
	out := make([]float64, len(row))
	format.Decode(d, out, raw)
	return out
}

// order lists the tokens of a built vocabulary as its tokenizer.json says.
func outIDs(t testing.TB, v *Vocabulary) map[string]int {
	t.Helper()
	k, err := reload(format.Directory("out"), v.Files)
	if err != nil {
		t.Fatal(err)
	}
	ids := make(map[string]int)
	for w, id := range k.ids {
		ids[w] = int(id)
	}
	return ids
}

func inOrder(ids map[string]int) string {
	var list []string
	for w, id := range ids {
		list = append(list, fmt.Sprintf("%d:%s", id, w))
	}
	sort.Slice(list, func(i, j int) bool {
		var a, b int
		fmt.Sscanf(list[i], "%d:", &a)
		fmt.Sscanf(list[j], "%d:", &b)
		return a < b || a == b && list[i] < list[j]
	})
	return fmt.Sprint(list)
}
