package packs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weld/format"
	"weld/format/safetensors"
	"weld/stream"
	"weld/stream/run"
)

// options are those of a run, with what - means.
func options(in []byte, out *bytes.Buffer) Options {
	return Options{Options: stream.Options{Threads: 3, Progress: new(run.Progress)}, In: bytes.NewReader(in), Out: out}
}

// tensors are of all kinds: some of several blocks, some without elements.
func tensors() []format.Tensor {
	return []format.Tensor{
		{Name: "model.embed_tokens.weight", DType: format.BF16, Shape: []int64{700, 900}},
		{Name: "a.weight", DType: format.F32, Shape: []int64{300, 700}},
		{Name: "b.weight", DType: format.F16, Shape: []int64{33, 17}},
		{Name: "c.empty", DType: format.F32, Shape: []int64{0, 7}},
		{Name: "d.mask", DType: format.Bool, Shape: []int64{1000}},
		{Name: "e.scalar", DType: format.I64, Shape: nil},
		{Name: "f.weight", DType: format.F8E4M3, Shape: []int64{64, 1000}},
	}
}

// write makes a Hub directory of several shards with small files beside them. change alters a tensor's values.
func write(t *testing.T, list []format.Tensor, seed uint64, change func(name string, x []float64)) string {
	t.Helper()
	dir := t.TempDir()
	layout, err := safetensors.NewLayout(list, map[string]string{"format": "pt"}, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	var targets []safetensors.Target
	var files []*os.File
	for _, s := range layout.Shards {
		f, err := os.Create(filepath.Join(dir, s.Name))
		if err != nil {
			t.Fatal(err)
		}
		files, targets = append(files, f), append(targets, f)
	}
	w, err := safetensors.NewWriter(layout, targets)
	if err != nil {
		t.Fatal(err)
	}
	for i, tensor := range list {
		r := rand.New(rand.NewPCG(seed, uint64(len(tensor.Name))))
		x := make([]float64, tensor.Elements())
		for k := range x {
			x[k] = r.NormFloat64() * 0.02
		}
		if change != nil {
			change(tensor.Name, x)
		}
		data := make([]byte, tensor.Bytes())
		if tensor.DType.Computable() {
			format.Encode(tensor.DType, data, x)
		} else {
			for k := range data {
				data[k] = byte(int(1000*x[k%len(x)])) & 1
			}
		}
		if len(data) == 0 {
			continue
		}
		if err := w.WriteAt(i, 0, data); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range files {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	small := map[string]string{
		"config.json": `{"num_hidden_layers": 2}`, "empty.txt": "", "additional_chat_templates/rag.jinja": "{{ x }}",
		"tokenizer.json": strings.Repeat("a token, ", 100_000),
	}
	for _, index := range layout.Indexes() {
		raw, err := io.ReadAll(index)
		if err != nil {
			t.Fatal(err)
		}
		small[index.Name] = string(raw)
	}
	for name, text := range small {
		put(t, filepath.Join(dir, name), []byte(text))
	}
	return dir
}

func put(t *testing.T, path string, data []byte) string {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, data, 0o666)); err != nil {
		t.Fatal(err)
	}
	return path
}

// same demands that two directories hold the same files.
func same(t *testing.T, got, want string) {
	t.Helper()
	a, b := contents(t, got), contents(t, want)
	for name, data := range b {
		if !bytes.Equal(a[name], data) {
			t.Errorf("%s: %s differs, or is not there", got, name)
		}
		delete(a, name)
	}
	for name := range a {
		t.Errorf("%s: %s should not be there", got, name)
	}
}

func contents(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := make(map[string][]byte)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		files[rel], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
