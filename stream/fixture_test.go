package stream

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"weld/format"
	"weld/format/safetensors"
	"weld/mmapio"
	"weld/stream/recipe"
	"weld/stream/run"
)

// This file makes checkpoints on disk, recipes over them, and what tests look at
// afterwards.

// tensor is one tensor with its bytes.
type tensor struct {
	format.Tensor
	data []byte
}

// floats makes a tensor of a computable type.
func floats(name string, d format.DType, values []float64, shape ...int64) tensor {
	t := tensor{Tensor: format.Tensor{Name: name, DType: d, Shape: append([]int64{}, shape...)}}
	t.data = make([]byte, len(values)*d.Bits()/8)
	format.Encode(d, t.data, values)
	return t
}

// raw makes a tensor of given bytes.
func raw(name string, d format.DType, data []byte, shape ...int64) tensor {
	return tensor{Tensor: format.Tensor{Name: name, DType: d, Shape: append([]int64{}, shape...)}, data: data}
}

// values decodes a tensor.
func (t tensor) values() []float64 {
	x := make([]float64, t.Elements())
	format.Decode(t.DType, x, t.data)
	return x
}

// checkpoint is tensors in the order in which they are written.
type checkpoint []tensor

// file is the checkpoint as the bytes of one file.
func (c checkpoint) file(metadata map[string]string) []byte {
	tensors := make([]format.Tensor, len(c))
	for i, t := range c {
		tensors[i] = t.Tensor
	}
	entries, order := safetensors.Arrange(tensors)
	h := safetensors.Header{Tensors: entries, Metadata: metadata}
	data := h.AppendFile(nil)
	for _, i := range order {
		data = append(data, c[i].data...)
	}
	return data
}

func (c checkpoint) find(name string) *tensor {
	i := slices.IndexFunc(c, func(t tensor) bool { return t.Name == name })
	if i < 0 {
		return nil
	}
	return &c[i]
}

// without is the checkpoint with fewer tensors.
func (c checkpoint) without(names ...string) checkpoint {
	return slices.DeleteFunc(slices.Clone(c), func(t tensor) bool { return slices.Contains(names, t.Name) })
}

// save writes the checkpoint to a file, whose directory is made.
func (c checkpoint) save(t testing.TB, path string) string {
	t.Helper()
	return write(t, path, c.file(nil))
}

// saveShards writes the checkpoint to a directory, per tensors in a file.
func (c checkpoint) saveShards(t testing.TB, dir string, per int) string {
	t.Helper()
	ix := safetensors.Index{}
	for n := 0; n*per < len(c); n++ {
		shard := c[n*per : min((n+1)*per, len(c))]
		name := fmt.Sprintf("part-%d.safetensors", n)
		shard.save(t, filepath.Join(dir, name))
		for _, x := range shard {
			ix.WeightMap = append(ix.WeightMap, safetensors.Weight{Name: x.Name, Shard: name})
			ix.TotalSize += x.Bytes()
		}
	}
	write(t, filepath.Join(dir, safetensors.IndexName), ix.Append(nil))
	return dir
}

func write(t testing.TB, path string, data []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// load reads a safetensors file as tensors and metadata, with its own little reader.
func load(t testing.TB, data []byte) (checkpoint, map[string]string) {
	t.Helper()
	n := binary.LittleEndian.Uint64(data)
	var header map[string]json.RawMessage
	if err := json.Unmarshal(data[8:8+n], &header); err != nil {
		t.Fatal(err)
	}
	var metadata map[string]string
	var c checkpoint
	for name, text := range header {
		if name == "__metadata__" {
			if err := json.Unmarshal(text, &metadata); err != nil {
				t.Fatal(err)
			}
			continue
		}
		var e struct {
			DType   string   `json:"dtype"`
			Shape   []int64  `json:"shape"`
			Offsets [2]int64 `json:"data_offsets"`
		}
		if err := json.Unmarshal(text, &e); err != nil {
			t.Fatal(err)
		}
		d, ok := format.ParseDType(e.DType)
		if !ok {
			t.Fatalf("dtype %s", e.DType)
		}
		c = append(c, raw(name, d, data[8+int64(n)+e.Offsets[0]:8+int64(n)+e.Offsets[1]], e.Shape...))
	}
	return c, metadata
}

// tree reads all files below a path; the path itself is "". Compressed files are
// restored by a decoder that knows nothing of seek tables.
func tree(t testing.TB, path string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(path, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(path, p)
		data := read(t, p)
		if strings.HasSuffix(p, ".zst") {
			data = restore(t, data)
		}
		files[rel] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func restore(t testing.TB, data []byte) []byte {
	t.Helper()
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	whole, err := d.DecodeAll(data, nil)
	if err != nil {
		t.Fatal(err)
	}
	return whole
}

// random is the generator of one tensor of one checkpoint.
func random(seed uint64, name string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// family is a base, models that differ from it in most elements, and their
// importance.
type family struct {
	base               checkpoint
	models, importance []checkpoint
}

// newFamily fills tensors of the given types and shapes.
func newFamily(models int, tensors ...format.Tensor) family {
	f := family{models: make([]checkpoint, models), importance: make([]checkpoint, models)}
	for _, x := range tensors {
		if !x.DType.Computable() {
			data := make([]byte, x.Bytes())
			r := random(1, x.Name)
			for i := range data {
				data[i] = byte(r.Uint32()) & 1
			}
			f.base = append(f.base, tensor{x, data})
			for m := range f.models {
				f.models[m] = append(f.models[m], tensor{x, data})
			}
			continue
		}
		n := x.Elements()
		base := make([]float64, n)
		r := random(2, x.Name)
		for i := range base {
			base[i] = 2*r.Float64() - 1
		}
		f.base = append(f.base, floats(x.Name, x.DType, base, x.Shape...))
		for m := range f.models {
			theta, importance := make([]float64, n), make([]float64, n)
			r := random(3+uint64(m), x.Name)
			for i := range theta {
				theta[i] = base[i]
				if i%4 > 0 {
					theta[i] += (2*r.Float64() - 1) / 4
				}
				x := r.Float64()
				importance[i] = x * x * x
			}
			f.models[m] = append(f.models[m], floats(x.Name, x.DType, theta, x.Shape...))
			f.importance[m] = append(f.importance[m], floats(x.Name, format.F32, importance, x.Shape...))
		}
	}
	return f
}

func describe(name string, d format.DType, shape ...int64) format.Tensor {
	return format.Tensor{Name: name, DType: d, Shape: append([]int64{}, shape...)}
}

// mixed is tensors of every kind that the engine treats in its own way: of many
// tiles, of rows longer than a tile, small, empty, of rank 0, and copied.
func mixed() []format.Tensor {
	list := []format.Tensor{
		describe("embed", format.BF16, 60, 700),
		describe("wide", format.F32, 2, 20000),
		describe("double", format.F64, 9000),
		describe("half", format.F16, 257, 33),
		describe("e4m3", format.F8E4M3, 64, 64),
		describe("e5m2", format.F8E5M2, 100),
		describe("scalar", format.F32),
		describe("empty", format.F32, 0, 5),
		describe("ids", format.I64, 300),
		describe("steps", format.I32, 30000),
		describe("mask", format.Bool, 1000),
		describe("packed", format.F4, 40, 50),
		describe("nothing", format.I64, 0),
		describe("count", format.U8),
	}
	for i := range 40 {
		list = append(list, describe(fmt.Sprintf("norm.%d", i), format.BF16, 17))
	}
	return list
}

// framed is n tensors that take a frame of a compressed output each.
func framed(n int) (list []format.Tensor) {
	for i := range n {
		list = append(list, describe(fmt.Sprintf("w.%d", i), format.BF16, 800, 720))
	}
	return list
}

// long is a family of one model with as many frames as any test wants, made once.
var long = sync.OnceValue(func() family {
	return newFamily(1, append(framed(12), describe("steps", format.I32, 600_000), describe("more", format.I32, 100_000))...)
})

// first is the family's first n tensors, and those that are copied.
func (f family) first(n int) family {
	some := func(c checkpoint) (kept checkpoint) {
		for i, t := range c {
			if i < n || !t.DType.Computable() {
				kept = append(kept, t)
			}
		}
		return kept
	}
	f.base = some(f.base)
	f.models, f.importance = slices.Clone(f.models), slices.Clone(f.importance)
	for m := range f.models {
		f.models[m], f.importance[m] = some(f.models[m]), some(f.importance[m])
	}
	return f
}

// small is a few tensors for tests that run many merges.
func small() []format.Tensor {
	return []format.Tensor{
		describe("a", format.F32, 90, 100), describe("b", format.BF16, 20, 30),
		describe("ids", format.I64, 50), describe("c", format.F32, 9000),
	}
}

// savedFamily is a family on disk.
type savedFamily struct {
	dir, base          string
	models, importance []string
}

func (f family) save(t testing.TB) savedFamily {
	t.Helper()
	return f.saveIn(t, t.TempDir())
}

func (f family) saveIn(t testing.TB, dir string) savedFamily {
	t.Helper()
	p := savedFamily{dir: dir, base: f.base.save(t, filepath.Join(dir, "base", "model.safetensors"))}
	p.base = filepath.Dir(p.base)
	for m := range f.models {
		p.models = append(p.models, f.models[m].save(t, filepath.Join(dir, fmt.Sprintf("m%d.safetensors", m))))
		p.importance = append(p.importance, f.importance[m].save(t, filepath.Join(dir, fmt.Sprintf("g%d.safetensors", m))))
	}
	return p
}

// out is a path for an output.
func (p savedFamily) out(name string) string { return filepath.Join(p.dir, name) }

// request is a recipe in short: KEY=VALUE settings, global ones or of all models.
type request struct {
	method   string
	settings []string
}

func ask(method string, settings ...string) request { return request{method, settings} }

// recipe resolves a request over a family on disk.
func (p savedFamily) recipe(t testing.TB, q request) *recipe.Recipe {
	t.Helper()
	d := &recipe.Draft{Method: recipe.Setting{Text: q.method}}
	method, ok := Schema().Find(q.method)
	if !ok {
		t.Fatalf("method %s", q.method)
	}
	if method.Base == recipe.Required {
		d.Base.Text = p.base
	}
	models := p.models
	if method.MaxModels > 0 {
		models = models[:method.MaxModels]
	}
	for _, path := range models {
		d.Models = append(d.Models, recipe.DraftModel{Path: recipe.Setting{Text: path}})
	}
	if method.BaseIs == recipe.BaseFirst {
		d.Models = d.Models[:method.MaxModels-1] // beside the base
	}
	importance := q.method == "sta" || q.method == "fisher"
	for _, s := range q.settings {
		key, value, _ := strings.Cut(s, "=")
		switch key {
		case "base":
			d.Base.Text = value
		case "dtype":
			d.DType = recipe.Setting{Key: key, Text: value}
		case "weights":
			for m, w := range strings.Split(value, ",") {
				d.Models[m].Params = append(d.Models[m].Params, recipe.Setting{Key: "weight", Text: w})
			}
		default:
			importance = importance && s != "score=magnitude"
			d.Params = append(d.Params, recipe.Setting{Key: key, Text: value})
		}
	}
	if importance {
		for m := range d.Models {
			d.Models[m].Params = append(d.Models[m].Params, recipe.Setting{Key: "importance", Text: p.importance[m]})
		}
	}
	r, err := Schema().Resolve(d)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// plan plans a request that must be sound.
func (p savedFamily) plan(t testing.TB, q request, out string, o Options) *Prepared {
	t.Helper()
	plan, err := Prepare(p.recipe(t, q), out, o)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// merge runs a request, successful or not.
func (p savedFamily) merge(t testing.TB, ctx context.Context, q request, out string, o Options) (*Report, error) {
	t.Helper()
	plan := p.plan(t, q, out, o)
	defer func() {
		if err := plan.Close(); err != nil {
			t.Error(err)
		}
	}()
	return plan.Merge(ctx)
}

// must runs a request that must succeed.
func (p savedFamily) must(t testing.TB, q request, out string, o Options) *Report {
	t.Helper()
	r, err := p.merge(t, context.Background(), q, out, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// nothingAt demands that no output and no stage is there.
func nothingAt(t testing.TB, out string) {
	t.Helper()
	for _, path := range []string{out, mmapio.StagingPath(out)} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there (%v)", path, err)
		}
	}
}

// noLeak returns a check that no goroutine and no file was left behind.
func noLeak(t testing.TB) func() {
	t.Helper()
	goroutines, files := runtime.NumGoroutine(), openFiles()
	return func() {
		t.Helper()
		for deadline := time.Now().Add(hangs); ; time.Sleep(time.Millisecond) {
			if runtime.NumGoroutine() <= goroutines && openFiles() <= files {
				return
			}
			if time.Now().After(deadline) {
				stacks := make([]byte, 1<<16)
				t.Errorf("%d goroutines and %d open files, %d and %d before\n%s", runtime.NumGoroutine(), openFiles(),
					goroutines, files, stacks[:runtime.Stack(stacks, true)])
				return
			}
		}
	}
}

// openFiles counts the process's files, where the system says.
func openFiles() int {
	list, _ := os.ReadDir("/proc/self/fd")
	return len(list)
}

// hangs is how long anything is waited for that takes a moment: long enough for a machine with other work to do.
const hangs = 2 * time.Minute

// within runs f, which must not hang.
func within(t testing.TB, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(hangs):
		stacks := make([]byte, 1<<20)
		t.Fatalf("it hangs\n%s", stacks[:runtime.Stack(stacks, true)])
	}
}

// watch has begun called with the name of each pass, when it reads for the first time.
func watch(p *Prepared, begun func(pass string)) {
	s := &reading{progress: p.Options.Progress, begun: begun}
	for i := range p.Opened {
		p.Opened[i].Checkpoint = watched{p.Opened[i].Checkpoint, s}
	}
}

// reading knows which pass reads.
type reading struct {
	progress *run.Progress
	begun    func(pass string)
	mu       sync.Mutex
	last     int
}

// watched is a checkpoint that says when it is read.
type watched struct {
	format.Checkpoint
	*reading
}

func (w watched) View(i int, off, n int64) (mmapio.View, error) {
	w.mu.Lock()
	if now, _ := w.progress.Now(); now.Index > w.last {
		w.last = now.Index
		w.begun(now.Name)
	}
	w.mu.Unlock()
	return w.Checkpoint.View(i, off, n)
}
