package gguf

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weld/format"
	"weld/format/formattest"
)

// opened opens a checkpoint that ends with the test.
func opened(t testing.TB, name string) *Checkpoint {
	t.Helper()
	c, err := Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// bytesOf are a copy of those of a tensor.
func bytesOf(t testing.TB, c format.Checkpoint, name string) (format.Tensor, []byte) {
	t.Helper()
	i, ok := c.Find(name)
	if !ok {
		t.Fatalf("there is no %s", name)
	}
	view, err := c.View(i, 0, c.Tensors()[i].Bytes())
	if err != nil {
		t.Fatal(err)
	}
	defer view.Release()
	return c.Tensors()[i], slices.Clone(view.Data)
}

// Values are those of gguf-py to the bit. What is no number is one NaN here.
func TestTypes(t *testing.T) {
	c, want := opened(t, "types.gguf"), formattest.Open(t, filepath.Join("testdata", "types.want.safetensors"))
	if len(c.Tensors()) != len(want.Tensors()) || len(c.Tensors()) != 24 {
		t.Fatalf("%d tensors, want %d", len(c.Tensors()), len(want.Tensors()))
	}
	for i, x := range c.Tensors() {
		stored, data := bytesOf(t, c, x.Name)
		shown, values := bytesOf(t, want, x.Name)
		b, shape := c.Blocks(i)
		if b == nil {
			if x.Name == "BF16" {
				wide := make([]byte, len(values))
				floats := make([]float32, len(values)/4)
				format.Decode(format.BF16, floats, data)
				format.Encode(format.F32, wide, floats)
				data = wide
			} else if stored.DType != shown.DType {
				t.Errorf("%s is of %v", x.Name, stored.DType)
			}
			if !slices.Equal(stored.Shape, shown.Shape) || !slices.Equal(data, values) {
				t.Errorf("%s: %v, other values than %v", x.Name, stored.Shape, shown.Shape)
			}
			continue
		}
		if b.Name != x.Name || !slices.Equal(shape, shown.Shape) {
			t.Errorf("%s is %s of %v, want %v", x.Name, b.Name, shape, shown.Shape)
		}
		got, numbers := make([]float32, len(values)/4), make([]float32, len(values)/4)
		b.Decode(got, data)
		format.Decode(format.F32, numbers, values)
		finite := 0
		for k, v := range got {
			switch v := v; {
			case numbers[k] != numbers[k]:
				if math.Float32bits(v) != 0x7fc00000 {
					t.Fatalf("%s: element %d is %x, want the NaN of encoders", x.Name, k, math.Float32bits(v))
				}
			case math.Float32bits(v) != math.Float32bits(numbers[k]):
				t.Fatalf("%s: element %d is %x, want %x", x.Name, k, v, numbers[k])
			default:
				finite++
			}
		}
		if finite < len(got)/4 {
			t.Errorf("%s: %d of %d are numbers", x.Name, finite, len(got))
		}
	}
}

// Every type of blocks that is decoded has a golden.
func TestEveryType(t *testing.T) {
	c := opened(t, "types.gguf")
	for _, s := range storages {
		if _, ok := c.Find(s.Name); !ok && (s.Decode != nil || s.plain != format.Invalid) {
			t.Errorf("%s has no golden", s.Name)
		}
	}
}

// What is shown of metadata is short, and exact where it is short anyway.
func TestMetadata(t *testing.T) {
	c := opened(t, "small.gguf")
	for key, want := range map[string]string{
		"general.architecture": "qwen2", "general.alignment": "64", "general.name": "a small model",
		"t.uint8": "200", "t.int8": "-3", "t.uint16": "60000", "t.int16": "-30000", "t.uint32": "4000000000", "t.int32": "-2000000000",
		"t.uint64": "18446744073709551615", "t.int64": "-9223372036854775808", "t.float32": "1e-06", "t.float64": "0.1", "t.bool": "true",
		"t.long":                "{# a template #}\n" + strings.Repeat("x", shownText-17) + "… (20017 bytes)",
		"tokenizer.ggml.tokens": `["<s>", "</s>", "a", "ä", … (7 of string)]`,
		"t.few":                 "[1, 2, 3]", "t.floats": "[0.5, -1, 2, 1e+30, … (5 of float32)]", "t.truths": "[true, false]",
	} {
		if got := c.Metadata()[key]; got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	if names := fmt.Sprint(c.Tensors()[0].Name, c.Tensors()[0].Shape, c.Tensors()[1].Name, c.Tensors()[1].Shape); names != "token_embd.weight[3 7]output_norm.weight[7]" {
		t.Error(names)
	}
}

// Any of the splits opens all of them.
func TestSplits(t *testing.T) {
	for k := range 3 {
		c := opened(t, fmt.Sprintf("split-%05d-of-00003.gguf", k+1))
		if len(c.Tensors()) != 5 || len(c.Files()) != 3 || len(c.Notes()) != 1 || c.Metadata()["general.architecture"] != "llama" {
			t.Fatalf("%d tensors in %d files, %q, %v", len(c.Tensors()), len(c.Files()), c.Notes(), c.Metadata())
		}
		for i := range c.Tensors() {
			name := fmt.Sprintf("blk.%d.weight", i)
			_, data := bytesOf(t, c, name)
			values := make([]float32, 6)
			format.Decode(format.F32, values, data)
			if c.Tensors()[i].Name != name || c.FileOf(i) != i/2 || slices.ContainsFunc(values, func(x float32) bool { return x != float32(i) }) {
				t.Errorf("%s in file %d: %v", c.Tensors()[i].Name, c.FileOf(i), values)
			}
		}
	}
}

// A file of the other order of bytes is named for it.
func TestBigEndian(t *testing.T) {
	_, err := Open(filepath.Join("testdata", "big-endian.gguf"))
	if format.KindOf(err) != format.KindUnsupported || !strings.Contains(err.Error(), "big-endian") {
		t.Error(err)
	}
}
