package gguf

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weld/format"
)

// rewritten writes tensors behind metadata, and opens what was written.
func rewritten(t *testing.T, m Metadata, tensors []Described, data [][]byte) *Checkpoint {
	t.Helper()
	l, err := NewLayout(m, len(tensors), func(i int) Described { return tensors[i] })
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "out.gguf")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWriter(l, file)
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range data {
		if err := w.WriteAt(i, 0, b); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if c.files[0].Info.Size() != l.Size || l.Data() != l.Size-c.shards[0].header.DataStart {
		t.Errorf("%d bytes, of them %d data; laid out %d and %d", c.files[0].Info.Size(), l.Size-c.shards[0].header.DataStart, l.Size, l.Data())
	}
	return c
}

// valueBytes are the whole bytes of a value in its file.
func valueBytes(t *testing.T, c *Checkpoint, key string) []byte {
	t.Helper()
	v, ok := c.shards[0].header.Value(key)
	if !ok {
		return nil
	}
	b := make([]byte, v.Size)
	if _, err := c.shards[0].ReadAt(b, v.Begin); err != nil {
		t.Fatal(err)
	}
	return b
}

// Metadata of the base comes out byte for byte, but for what is said anew; tensors keep order, types and bytes.
func TestLayout(t *testing.T) {
	base, types := opened(t, "small.gguf"), opened(t, "types.gguf")
	var tensors []Described
	var data [][]byte
	for i, x := range types.Tensors() {
		b, shape := types.Blocks(i)
		d := Described{x.Name, x.DType, b, shape}
		if b == nil {
			d.Shape = x.Shape
		}
		_, content := bytesOf(t, types, x.Name)
		tensors, data = append(tensors, d), append(data, content)
	}
	c := rewritten(t, Metadata{Base: base, Texts: map[string]string{"general.name": "another", "weld.x": "y"}, FileType: 32, Keep: func(key string) bool { return key != "t.bool" }}, tensors, data)
	if h := c.shards[0].header; h.Version != 3 || h.Alignment != 64 {
		t.Errorf("version %d, alignment %d", h.Version, h.Alignment)
	}
	for _, p := range base.shards[0].header.Pairs {
		switch got := valueBytes(t, c, p.Key); {
		case p.Key == "t.bool" && got != nil:
			t.Error("what is to be left out is there")
		case p.Key == "general.name" && c.metadata[p.Key] != "another":
			t.Errorf("the name is %q", c.metadata[p.Key])
		case p.Key != "t.bool" && p.Key != "general.name" && !bytes.Equal(got, valueBytes(t, base, p.Key)):
			t.Errorf("%s has other bytes", p.Key)
		}
	}
	if c.metadata["weld.x"] != "y" || c.metadata[FileTypeKey] != "" { // the base says nothing of it
		t.Error(c.metadata)
	}
	for i, x := range c.Tensors() {
		was := types.Tensors()[i]
		_, got := bytesOf(t, c, x.Name)
		if x.Name != was.Name || x.DType != was.DType || !slices.Equal(x.Shape, was.Shape) || c.places[i].store != types.places[i].store || !bytes.Equal(got, data[i]) {
			t.Errorf("%s %v %v became %s %v %v", was.Name, was.DType, was.Shape, x.Name, x.DType, x.Shape)
		}
	}
}

// A model that was joined is no split, and a file type that is asked for is said.
func TestLayoutOfSplits(t *testing.T) {
	base := opened(t, "split-00001-of-00003.gguf")
	c := rewritten(t, Metadata{Base: base, FileType: -1}, nil, nil)
	if len(c.metadata) != 1 || c.metadata["general.architecture"] != "llama" {
		t.Error(c.metadata)
	}
	typed := rewritten(t, Metadata{Base: rewritten(t, Metadata{Base: base}, nil, nil), FileType: 1}, nil, nil)
	if typed.metadata[FileTypeKey] != "" {
		t.Error("a file type where the base had none")
	}
}

// What GGUF cannot hold is refused.
func TestLayoutRefuses(t *testing.T) {
	base := opened(t, "small.gguf")
	for says, d := range map[string]Described{
		"no type F8_E4M3":   {Name: "a", DType: format.F8E4M3, Shape: []int64{4}},
		"no type U8":        {Name: "a", DType: format.U8, Shape: []int64{4}},
		"5 dimensions":      {Name: "a", DType: format.F32, Shape: []int64{1, 1, 1, 1, 1}},
		"a name of 0 bytes": {DType: format.F32, Shape: []int64{1}},
	} {
		_, err := NewLayout(Metadata{Base: base}, 1, func(int) Described { return d })
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %s", err, says)
		}
	}
}
