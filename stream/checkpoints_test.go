package stream

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"weld/format"
	"weld/format/safetensors"
)

// This file makes checkpoints on disk, and reads what merges wrote with a reader of its own.

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
	layout, err := safetensors.NewLayout(tensors, metadata, safetensors.OneShard)
	if err != nil {
		panic(err)
	}
	data := layout.Header(0)
	for _, i := range layout.Order() {
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
