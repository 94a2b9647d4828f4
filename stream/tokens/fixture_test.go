package tokens

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
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

// naive makes the new embedding of model m token by token, from vocabularies given as maps.
type naive struct {
	t      testing.TB
	toys   []toy
	models []TokenizedModel
	base   int
	spec   Spec
	out    map[string]int // of the output
	size   int
	cache  map[string][][]float64
}

func (n naive) values(m int, name string) [][]float64 {
	key := fmt.Sprint(m, name)
	if n.cache[key] == nil {
		n.cache[key] = values(n.t, n.models[m].Checkpoint, name)
	}
	return n.cache[key]
}

func (n naive) has(m int, token string, name string) (int, bool) {
	id, ok := n.toys[m].ids()[token]
	rows := len(n.values(m, name))
	return id, ok && id < rows
}

func (n naive) matrix(m int, name string) [][]float64 {
	if n.cache == nil {
		n.cache = make(map[string][][]float64)
	}
	var parts []int
	for k := range n.models {
		if _, ok := n.models[k].Find(name); ok {
			parts = append(parts, k)
		}
	}
	i, _ := n.models[m].Find(name)
	dtype := n.models[m].Tensors()[i].DType
	length := int(n.models[m].Tensors()[i].RowLen())
	requested := make(map[string]RowSource)
	for _, s := range n.spec.Tokens {
		requested[s.Token] = s
	}
	result := make([][]float64, n.size)
	for token, r := range n.out {
		id, ok := n.has(m, token, name)
		s, explicit := requested[token]
		if ok && !(explicit && s.Force) {
			result[r] = n.values(m, name)[id]
			continue
		}
		row := make([]float64, length)
		var owners []int
		for _, k := range parts {
			if _, ok := n.has(k, token, name); ok {
				owners = append(owners, k)
			}
		}
		take := func(k, id int) { row = round(dtype, n.values(k, name)[id]) }
		baseID, baseHas := -1, false
		if n.base >= 0 {
			baseID, baseHas = n.has(n.base, token, name)
		}
		switch {
		case explicit && s.Zero:
		case explicit && s.FromModel >= 0 && s.FromID >= 0:
			take(s.FromModel, s.FromID)
		case explicit && s.FromModel >= 0 && s.FromToken != "":
			take(s.FromModel, n.toys[s.FromModel].ids()[s.FromToken])
		case explicit && s.FromModel >= 0:
			take(s.FromModel, n.toys[s.FromModel].ids()[token])
		case len(owners) == 1:
			id, _ := n.has(owners[0], token, name)
			take(owners[0], id)
		case len(owners) == 0:
		case baseHas:
			take(n.base, baseID)
		default:
			wide := false
			for _, k := range parts {
				j, _ := n.models[k].Find(name)
				wide = wide || n.models[k].Tensors()[j].DType == format.F64
			}
			for c := range row {
				var sum32 float32
				for _, k := range owners {
					id, _ := n.has(k, token, name)
					x := n.values(k, name)[id][c]
					row[c] += x
					sum32 += float32(x)
				}
				row[c] /= float64(len(owners))
				if !wide {
					row[c] = float64(sum32 / float32(len(owners)))
				}
			}
			row = round(dtype, row)
		}
		result[r] = row
	}
	used := make(map[int]bool)
	for _, id := range n.toys[m].ids() {
		used[id] = true
	}
	mean, count := make([]float64, length), 0
	for _, row := range result {
		if row != nil {
			for c, x := range row {
				mean[c] += x
			}
			count++
		}
	}
	for c := range mean {
		mean[c] /= float64(count)
	}
	mean = round(dtype, mean)
	own := n.values(m, name)
	for r := range result {
		if result[r] == nil {
			if result[r] = mean; r < len(own) && !used[r] {
				result[r] = own[r]
			}
		}
	}
	return result
}

// check compares every embedding of every model with the naive one, and odd ranges of
// it with the whole.
func (n naive) check(v *Vocabulary) {
	n.t.Helper()
	n.cache = make(map[string][][]float64)
	if v.Size != int64(n.size) {
		n.t.Fatalf("size %d, want %d", v.Size, n.size)
	}
	for m := range n.models {
		c, err := v.Wrap(m)
		if err != nil {
			n.t.Fatal(err)
		}
		for i, x := range c.Tensors() {
			if !IsEmbedding(x) {
				got, _ := whole(n.t, c, x.Name)
				want, _ := whole(n.t, n.models[m].Checkpoint, x.Name)
				if string(got) != string(want) {
					n.t.Errorf("model %d: %s changed", m, x.Name)
				}
				continue
			}
			if x.Shape[0] != v.Size {
				n.t.Fatalf("model %d: %s has shape %v", m, x.Name, x.Shape)
			}
			got, want := values(n.t, c, x.Name), n.matrix(m, x.Name)
			for r := range want {
				for k := range want[r] {
					if math.Float64bits(got[r][k]) != math.Float64bits(want[r][k]) {
						n.t.Fatalf("model %d: %s row %d: %v, want %v", m, x.Name, r, got[r], want[r])
					}
				}
			}
			all, _ := whole(n.t, c, x.Name)
			checkRanges(n.t, c, i, all)
		}
	}
}

func checkRanges(t testing.TB, c format.Checkpoint, i int, all []byte) {
	t.Helper()
	r := rand.New(rand.NewPCG(7, uint64(len(all))))
	for k := range 20 {
		off := r.Int64N(int64(len(all)) + 1)
		n := r.Int64N(int64(len(all)) - off + 1)
		lend := c.View
		if k%2 == 1 {
			lend = func(i int, off, n int64) (mmapio.View, error) { return format.Read(c, i, off, n) }
		}
		v, err := lend(i, off, n)
		if err != nil {
			t.Fatal(err)
		}
		if string(v.Data) != string(all[off:off+n]) {
			t.Fatalf("%s: bytes [%d, %d) differ from the whole", c.Tensors()[i].Name, off, off+n)
		}
		v.Release()
		format.Advise(c, mmapio.Soon, i, off, n)
	}
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
