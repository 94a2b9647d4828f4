package format_test

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"weld/format"
	"weld/format/lora"
	"weld/format/names"
	"weld/format/open"
	"weld/format/packed"
	"weld/format/quant"
	"weld/format/renamed"
	"weld/format/safetensors"
	"weld/mmapio"
	"weld/stream/tokens"
)

// implementations are all types of the tree that list tensors as a checkpoint does. Whoever adds one adds it to
// the tests here, too: a container to [TestContainers], a wrapper to [TestWrappers].
var implementations = []string{
	"format/lora.adapted", "format/lora.derived", "format/quant.View", "format/renamed.shownCheckpoint", "format/safetensors.Checkpoint", "stream/tokens.gathered",
}

func TestImplementationsAreTested(t *testing.T) {
	var found []string
	err := filepath.WalkDir("..", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil || f.Name.Name != "Tensors" || f.Type.Params.NumFields() > 0 {
				continue
			}
			receiver := f.Recv.List[0].Type
			if star, ok := receiver.(*ast.StarExpr); ok {
				receiver = star.X
			}
			found = append(found, filepath.ToSlash(filepath.Dir(path))[len("../"):]+"."+receiver.(*ast.Ident).Name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	if !slices.Equal(found, implementations) {
		t.Errorf("%v implement a checkpoint; tested are %v", found, implementations)
	}
}

// save writes a file of tensors whose bytes count up, each from a number of its own.
func save(t *testing.T, path string, tensors []format.Tensor) {
	t.Helper()
	layout, err := safetensors.NewLayout(tensors, map[string]string{"said": "by the container"}, safetensors.OneShard)
	if err != nil {
		t.Fatal(err)
	}
	data := layout.Header(0)
	for k, i := range layout.Order() {
		for n := range tensors[i].Bytes() {
			data = append(data, byte(40*k)+byte(n%40)) // small numbers of any type
		}
	}
	write(t, path, data)
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, data, 0o666)); err != nil {
		t.Fatal(err)
	}
}

func tensor(name string, shape ...int64) format.Tensor {
	return format.Tensor{Name: name, DType: format.F32, Shape: shape}
}

// witness is a checkpoint that can do and say everything, and remembers what it was asked.
type witness struct {
	format.Checkpoint
	asked []string
}

const extraCost = 1 << 20

func (w *witness) Beside() format.Folder       { return format.Directory(filepath.Dir(w.Path())) }
func (w *witness) Metadata() map[string]string { return map[string]string{w.Path(): "a witness"} }
func (w *witness) Notes() []string             { return []string{"a note on " + w.Path()} }
func (w *witness) ViewCost(n int64) int64      { return n + extraCost }
func (w *witness) FileOf(i int) int            { return format.FileOf(w.Checkpoint, i) }
func (w *witness) Stored(i int) (*mmapio.File, int64) {
	return format.Stored(w.Checkpoint, i)
}
func (w *witness) View(i int, off, n int64) (mmapio.View, error) {
	w.asked = append(w.asked, "view "+w.Tensors()[i].Name)
	return w.Checkpoint.View(i, off, n)
}
func (w *witness) Read(i int, off, n int64) (mmapio.View, error) {
	w.asked = append(w.asked, "read "+w.Tensors()[i].Name)
	return format.Read(w.Checkpoint, i, off, n)
}
func (w *witness) Advise(a mmapio.Advice, i int, off, n int64) {
	w.asked = append(w.asked, fmt.Sprintf("advise %d %s %d+%d", a, w.Tensors()[i].Name, off, n))
}
func (w *witness) Close() error {
	w.asked = append(w.asked, "close")
	return w.Checkpoint.Close()
}

// take is what was asked since it was last taken.
func (w *witness) take() (asked []string) {
	asked, w.asked = w.asked, nil
	return asked
}

// watch saves a checkpoint and opens it under a witness.
func watch(t *testing.T, dir string, tensors ...format.Tensor) *witness {
	t.Helper()
	path := filepath.Join(dir, "model.safetensors")
	save(t, path, tensors)
	c, err := open.Checkpoint(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &witness{Checkpoint: c}
}

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
	for name, over := range map[string]func(*testing.T) wrapper{"renamed": overRenamed, "adapter": overAdapter, "codes": overCodes, "vocabulary": overVocabulary} {
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

// checkChanges touches every file and demands that it is noticed.
func checkChanges(t *testing.T, c format.Checkpoint) {
	t.Helper()
	for _, f := range slices.Backward(c.Files()) { // the first that is changed is the one that is named
		if err := os.Chtimes(f.Path, time.Time{}, time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		var changed *mmapio.ChangedError
		if err := format.Unchanged(c); !errors.As(err, &changed) || changed.Path != f.Path {
			t.Errorf("%s was changed, and the checkpoint says %v", f.Path, err)
		}
	}
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

// abilities are the optional interfaces; a container of files has all of them but those that are named.
var abilities = map[string]reflect.Type{
	"Accompanied": reflect.TypeFor[format.Accompanied](), "Described": reflect.TypeFor[format.Described](), "Noted": reflect.TypeFor[format.Noted](),
	"Costly": reflect.TypeFor[format.Costly](), "Sharer": reflect.TypeFor[format.Sharer](), "Sharded": reflect.TypeFor[format.Sharded](),
	"Verbatim": reflect.TypeFor[format.Verbatim](), "Copied": reflect.TypeFor[format.Copied](), "Advised": reflect.TypeFor[format.Advised](),
}

// TestContainers demands of every container all that can be asked of it.
func TestContainers(t *testing.T) {
	dir := t.TempDir()
	tensors := []format.Tensor{tensor("a", 3, 5), tensor("b", 7)}
	save(t, filepath.Join(dir, "hub", "model.safetensors"), tensors)
	save(t, filepath.Join(dir, "single.safetensors"), tensors)
	save(t, filepath.Join(dir, "shards", "model-00001-of-00002.safetensors"), tensors[:1])
	save(t, filepath.Join(dir, "shards", "model-00002-of-00002.safetensors"), tensors[1:])
	write(t, filepath.Join(dir, "shards", "model.safetensors.index.json"), []byte(`{"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}`))
	pack(t, filepath.Join(dir, "x.weld"), tensors)
	for name, want := range map[string]struct {
		files  int
		fileOf int // of b
		beside string
		stored bool
	}{
		"hub":                                 {1, 0, "hub", true},
		"single.safetensors":                  {1, 0, "", true},
		"shards":                              {3, 1, "shards", true},
		"shards/model.safetensors.index.json": {3, 1, "shards", true},
		"x.weld":                              {1, 0, "x.weld", false},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := open.Checkpoint(filepath.Join(dir, filepath.FromSlash(name)))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for ability, is := range abilities {
				if !reflect.TypeOf(c).Implements(is) {
					t.Errorf("%T is not %s", c, ability)
				}
			}
			b, _ := c.Find("b")
			if len(c.Files()) != want.files || format.FileOf(c, b) != want.fileOf {
				t.Errorf("%d files, b in the one of number %d", len(c.Files()), format.FileOf(c, b))
			}
			if got := format.Beside(c).Path(); want.beside == "" && got != "" || want.beside != "" && got != filepath.Join(dir, want.beside) {
				t.Errorf("beside it is %q", got)
			}
			if file, _ := format.Stored(c, b); (file != nil) != want.stored {
				t.Errorf("b is stored in %v", file)
			}
			if got := format.ViewCost(c, 100); (got == 100) != want.stored {
				t.Errorf("a view of 100 bytes costs %d", got)
			}
			if !maps.Equal(format.Metadata(c), map[string]string{"said": "by the container"}) {
				t.Errorf("metadata %v", format.Metadata(c))
			}
			w := wrapper{Checkpoint: c}
			if !bytes.Equal(w.bytes(t, b, c.View), w.bytes(t, b, w.read)) {
				t.Error("a read has other bytes than a view")
			}
			checkChanges(t, c)
		})
	}
}

// pack writes a pack of one file of tensors.
func pack(t *testing.T, path string, tensors []format.Tensor) {
	t.Helper()
	plain := filepath.Join(t.TempDir(), "plain")
	save(t, plain, tensors)
	data, err := os.ReadFile(plain)
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	header := int64(len(data))
	for _, x := range tensors {
		header -= x.Bytes()
	}
	w := packed.NewWriter(out, 1)
	f, err := w.Shard("model.safetensors", header, tensors, nil)
	if err == nil {
		_, err = f.WriteAt(data, 0)
	}
	if err := errors.Join(err, w.Complete(), out.Close()); err != nil {
		t.Fatal(err)
	}
}

// heard is a file that remembers advice.
type heard struct {
	*mmapio.File
	advice []string
	read   int
}

func (h *heard) Advise(a mmapio.Advice, off, n int64) {
	h.advice = append(h.advice, fmt.Sprintf("%d %d+%d", a, off, n))
}

func (h *heard) Read(off, n int64) (mmapio.View, error) {
	h.read++
	return h.File.Read(off, n)
}

// TestAdviceReachesFiles follows advice, and a read, from containers to their files.
func TestAdviceReachesFiles(t *testing.T) {
	dir := t.TempDir()
	tensors := []format.Tensor{tensor("a", 3, 5), tensor("b", 7)}
	plain, packs := filepath.Join(dir, "m.safetensors"), filepath.Join(dir, "m.weld")
	save(t, plain, tensors)
	pack(t, packs, tensors)
	hear := func(path string) *heard {
		file, err := mmapio.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		return &heard{File: file}
	}
	file := hear(plain)
	c, err := safetensors.OpenFile(plain, file)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b, _ := c.Find("b")
	format.Advise(c, mmapio.Done, b, 4, 8)
	if want := fmt.Sprintf("1 %d+8", file.Size()-7*4+4); len(file.advice) != 1 || file.advice[0] != want {
		t.Errorf("advice arrives as %q, want %q", file.advice, want)
	}
	if v, err := format.Read(c, b, 0, 4); err != nil || file.read != 1 {
		t.Errorf("read %d times: %v", file.read, err)
	} else {
		v.Release()
	}
	stored := hear(packs)
	a, err := packed.OpenStorage(stored)
	if err != nil {
		t.Fatal(err)
	}
	inPack, err := a.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	defer inPack.Close()
	format.Advise(inPack, mmapio.Soon, b, 4, 8)
	block := a.BlockAt(a.Content() - 1)
	at, _, _ := a.Extent(block)
	if len(stored.advice) != 1 || !strings.HasPrefix(stored.advice[0], fmt.Sprintf("0 %d+", at)) {
		t.Errorf("advice arrives as %q, want that of the record at %d", stored.advice, at)
	}
}

// bare is a checkpoint that can do nothing but what all can.
type bare struct{ format.Checkpoint }

// TestWithoutAbilities asks a checkpoint for what it cannot do.
func TestWithoutAbilities(t *testing.T) {
	w := watch(t, t.TempDir(), tensor("a", 4))
	c := bare{w}
	if format.Beside(c).Exists() || format.Metadata(c) != nil || format.Notes(c) != nil || format.ViewCost(c, 5) != 5 || format.FileOf(c, 0) != 0 || format.Share(c, w) {
		t.Error("it says what it cannot know")
	}
	if file, begin := format.Stored(c, 0); file != nil || begin != 0 {
		t.Errorf("stored in %v", file)
	}
	format.Advise(c, mmapio.Soon, 0, 0, 4)
	if len(w.asked) > 0 {
		t.Errorf("asked for %q", w.asked)
	}
	v, err := format.Read(c, 0, 0, 4)
	if err != nil || len(v.Data) != 4 || !slices.Equal(w.take(), []string{"view a"}) {
		t.Errorf("read %v, %v", v.Data, err)
	}
	v.Release()
}
