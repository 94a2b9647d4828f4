package format_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weld/format"
	"weld/format/gguf"
	"weld/format/llamacpp"
	"weld/format/lora"
	"weld/format/moments"
	"weld/format/names"
	"weld/format/quant"
	"weld/format/renamed"
	"weld/mmapio"
	"weld/stream/tokens"
)

// wrapper is a wrapper over witnesses, of which the first is what it shows in the first place.
type wrapper struct {
	format.Checkpoint
	over []*witness
	// same are tensors that are shown as they are: the witness that has one, and its name there.
	same map[string]original
	// made are tensors that are put together or computed.
	made []string
}

type original struct {
	whose int
	name  string
}

func overRenamed(t *testing.T) wrapper {
	w := watch(t, t.TempDir(), tensor("transformer.h.0.q.weight", 4, 6), tensor("transformer.wte.weight", 8, 6), tensor("l.0.experts.0.up_proj.weight", 2, 5), tensor("l.0.experts.1.up_proj.weight", 2, 5), tensor("l.0.experts.0.gate_proj.weight", 2, 5), tensor("l.0.experts.1.gate_proj.weight", 2, 5))
	wanted := []format.Tensor{tensor("h.0.q.weight", 4, 6), tensor("wte.weight", 8, 6), tensor("l.0.experts.gate_up_proj", 2, 4, 5)}
	m := names.Meet(wanted, w.Tensors(), w.Find)
	c, err := renamed.Show(w, wanted, m)
	if err != nil || len(m.Missing()) > 0 {
		t.Fatal(m, m.Missing(), err)
	}
	return wrapper{c, []*witness{w}, map[string]original{"h.0.q.weight": {0, "transformer.h.0.q.weight"}, "wte.weight": {0, "transformer.wte.weight"}}, []string{"l.0.experts.gate_up_proj"}}
}

func overCodes(t *testing.T) wrapper {
	codes := tensor("layers.0.q.weight", 4, 6)
	codes.DType = format.F8E4M3
	w := watch(t, t.TempDir(), tensor("embed.weight", 8, 6), codes, tensor("layers.0.q.weight_scale", 4, 1), tensor("norm.weight", 8))
	c, err := quant.Show(w, quant.Declared{})
	if err != nil || len(c.Tensors()) != 3 {
		t.Fatal(c.Tensors(), err)
	}
	return wrapper{c, []*witness{w}, map[string]original{"embed.weight": {0, "embed.weight"}, "norm.weight": {0, "norm.weight"}}, []string{"layers.0.q.weight"}}
}

func overMoments(t *testing.T) wrapper {
	w := watch(t, t.TempDir(), tensor("optimizer.state.a.weight.exp_avg_sq", 4, 6), tensor("optimizer.state.b.exp_avg_sq", 8))
	c, err := moments.Of(w)
	if err != nil || len(c.Tensors()) != 2 {
		t.Fatal(c, err)
	}
	return wrapper{c, []*witness{w}, nil, []string{"a.weight", "b"}}
}

// overGGUF is a model of llama.cpp's under the Hub's names: an expert is a part of a tensor, and rows of queries are in another order.
func overGGUF(t *testing.T) wrapper {
	file, err := gguf.Open(filepath.Join("llamacpp", "testdata", "mixtral.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	var tensors []format.Tensor
	for _, x := range file.Tensors() {
		tensors = append(tensors, tensor(x.Name, x.Shape...))
	}
	w := watch(t, t.TempDir(), tensors...)
	h, err := llamacpp.ToHub(w, file)
	if err != nil {
		t.Fatal(err)
	}
	return wrapper{h.Checkpoint, []*witness{w}, map[string]original{"model.embed_tokens.weight": {0, "token_embd.weight"}, "model.layers.1.self_attn.v_proj.weight": {0, "blk.1.attn_v.weight"}}, []string{"model.layers.0.self_attn.q_proj.weight"}}
}

// overAdapter is an adapter over a base whose layers it repeats first: two wrappers in one.
func overAdapter(t *testing.T) wrapper {
	base := watch(t, t.TempDir(), tensor("embed.weight", 8, 6), tensor("layers.0.k.weight", 4, 6), tensor("layers.0.q.weight", 4, 6))
	adapter := watch(t, t.TempDir(), tensor("base_model.model.layers.1.q.lora_A.weight", 2, 6), tensor("base_model.model.layers.1.q.lora_B.weight", 4, 2), tensor("base_model.model.embed.weight", 8, 6))
	c, err := lora.Apply(base, adapter, []byte(`{"peft_type":"LORA","bias":"none","r":2,"lora_alpha":2,"modules_to_save":["embed"],"layer_replication":[[0,1],[0,1]]}`))
	if err != nil {
		t.Fatal(err)
	}
	return wrapper{c, []*witness{base, adapter}, map[string]original{
		"layers.0.k.weight": {0, "layers.0.k.weight"}, "layers.1.k.weight": {0, "layers.0.k.weight"}, "layers.0.q.weight": {0, "layers.0.q.weight"},
		"embed.weight": {1, "base_model.model.embed.weight"},
	}, []string{"layers.1.q.weight"}}
}

func overVocabulary(t *testing.T) wrapper {
	var models []tokens.TokenizedModel
	var over []*witness
	// Rows of 160 KiB: of shorter ones the system is told nothing.
	for _, vocabulary := range []string{`{"a":0,"b":1}`, `{"b":0,"c":1,"a":2}`} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "tokenizer.json"), []byte(`{"version":"1.0","added_tokens":[],"model":{"type":"WordLevel","vocab":`+vocabulary+`,"unk_token":"a"}}`))
		w := watch(t, dir, tensor("model.embed_tokens.weight", int64(strings.Count(vocabulary, ":")), 40_000), tensor("model.norm.weight", 5))
		over = append(over, w)
		models = append(models, tokens.TokenizedModel{Path: dir, Folder: w.Beside(), Checkpoint: w})
	}
	v, err := tokens.Build(tokens.Spec{Source: tokens.SourceUnion}, models, 0)
	if err != nil {
		t.Fatal(err)
	}
	c, err := v.Wrap(1)
	if err != nil || c == format.Checkpoint(over[1]) {
		t.Fatal("not wrapped:", err)
	}
	slices.Reverse(over) // the second model is the one that is shown
	return wrapper{c, over, map[string]original{"model.norm.weight": {0, "model.norm.weight"}}, []string{"model.embed_tokens.weight"}}
}

// TestWrappers demands that nothing which a checkpoint can do or say is lost under what shows it.
func TestWrappers(t *testing.T) {
	for name, over := range map[string]func(*testing.T) wrapper{"renamed": overRenamed, "adapter": overAdapter, "gguf": overGGUF, "codes": overCodes, "moments": overMoments, "vocabulary": overVocabulary} {
		t.Run(name, func(t *testing.T) {
			w := over(t)
			w.checkWhole(t)
			for name := range w.same {
				w.checkSame(t, name)
			}
			for _, name := range w.made {
				w.checkMade(t, name)
			}
			w.checkFiles(t)
			first := w.over[0]
			first.take()
			if err := w.Close(); err != nil || !slices.Contains(first.take(), "close") {
				t.Errorf("what is wrapped stays open: %v", err)
			}
		})
	}
}

// checkWhole checks what is said of the whole.
func (w wrapper) checkWhole(t *testing.T) {
	first := w.over[0]
	if got := format.Beside(w.Checkpoint).Path(); got != first.Beside().Path() {
		t.Errorf("beside it is %q, not %q", got, first.Beside().Path())
	}
	if got := format.Metadata(w.Checkpoint); got[first.Path()] != "a witness" {
		t.Errorf("metadata %v", got)
	}
	if got := format.Notes(w.Checkpoint); !slices.Contains(got, "a note on "+first.Path()) {
		t.Errorf("notes %q", got)
	}
	if got := format.ViewCost(w.Checkpoint, 1000); got <= 1000+extraCost { // of what is made, and of what it is made from
		t.Errorf("a view costs %d", got)
	}
	if !slices.Contains(w.Files(), first.Files()[0]) {
		t.Errorf("files %v", w.Files())
	}
}

// checkSame checks a tensor that is shown as it is.
func (w wrapper) checkSame(t *testing.T, name string) {
	i, ok := w.Find(name)
	if !ok {
		t.Fatalf("%s is not there", name)
	}
	from := w.over[w.same[name].whose]
	j, _ := from.Find(w.same[name].name)
	if got := w.Files()[format.FileOf(w.Checkpoint, i)].Path; got != from.Files()[0].Path {
		t.Errorf("%s is said to be in %s", name, got)
	}
	file, begin := format.Stored(w.Checkpoint, i)
	if want, at := from.Stored(j); file == nil || file != want || begin != at {
		t.Errorf("%s is stored in %v from %d, want %v from %d", name, file, begin, want, at)
	}
	if !format.InPieces(w.Checkpoint, i) {
		t.Errorf("%s is not decoded in pieces", name)
	}
	from.take()
	if !bytes.Equal(w.bytes(t, i, w.View), from.bytes(j)) {
		t.Errorf("%s: other bytes are viewed", name)
	}
	if got := from.take(); len(got) != 1 || got[0] != "view "+w.same[name].name {
		t.Errorf("%s: a view asks for %q", name, got)
	}
	if !bytes.Equal(w.bytes(t, i, w.read), from.bytes(j)) {
		t.Errorf("%s: other bytes are read", name)
	}
	if got := from.take(); len(got) != 1 || got[0] != "read "+w.same[name].name {
		t.Errorf("%s: a read asks for %q", name, got)
	}
	for _, a := range []mmapio.Advice{mmapio.Soon, mmapio.Done} {
		format.Advise(w.Checkpoint, a, i, 4, 8)
		if got, want := from.take(), fmt.Sprintf("advise %d %s 4+8", a, w.same[name].name); len(got) != 1 || got[0] != want {
			t.Errorf("%s: advice arrives as %q, want %q", name, got, want)
		}
	}
}

// checkMade checks a tensor that is nowhere as it is.
func (w wrapper) checkMade(t *testing.T, name string) {
	i, ok := w.Find(name)
	if !ok {
		t.Fatalf("%s is not there", name)
	}
	if file, _ := format.Stored(w.Checkpoint, i); file != nil {
		t.Errorf("%s is stored in %s", name, file.Path())
	}
	viewed := w.bytes(t, i, w.View)
	w.over[0].take()
	if !bytes.Equal(viewed, w.bytes(t, i, w.read)) {
		t.Errorf("%s: a read has other bytes than a view", name)
	}
	if got := w.over[0].take(); len(got) == 0 || !strings.HasPrefix(got[0], "read ") {
		t.Errorf("%s: a read asks for %q", name, got)
	}
	format.Advise(w.Checkpoint, mmapio.Soon, i, 0, w.Tensors()[i].Bytes())
	if got := w.over[0].take(); len(got) == 0 || !strings.HasPrefix(got[0], "advise") {
		t.Errorf("%s: advice arrives as %q", name, got)
	}
}

// checkFiles changes one file after the other.
func (w wrapper) checkFiles(t *testing.T) {
	if err := format.Unchanged(w.Checkpoint); err != nil {
		t.Error(err)
	}
	checkChanges(t, w.Checkpoint)
}

func (w wrapper) read(i int, off, n int64) (mmapio.View, error) {
	return format.Read(w.Checkpoint, i, off, n)
}

func (w wrapper) bytes(t *testing.T, i int, lend func(i int, off, n int64) (mmapio.View, error)) []byte {
	t.Helper()
	v, err := lend(i, 0, w.Tensors()[i].Bytes())
	if err != nil {
		t.Fatal(err)
	}
	defer v.Release()
	return bytes.Clone(v.Data)
}

// bytes are those of a tensor; nobody asked for them.
func (w *witness) bytes(i int) []byte {
	v, err := w.Checkpoint.View(i, 0, w.Tensors()[i].Bytes())
	if err != nil {
		panic(err)
	}
	defer v.Release()
	return bytes.Clone(v.Data)
}
