package gguf_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"weld/format"
	"weld/format/gguf"
	"weld/format/quant"
)

// Values that are shown are those of gguf-py, whole and in any parts.
func TestValues(t *testing.T) {
	c, err := gguf.Open(filepath.Join("testdata", "types.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	shown, err := quant.Show(c, quant.Declared{})
	if err != nil {
		t.Fatal(err)
	}
	defer shown.Close()
	if len(shown.Tensors()) != len(c.Tensors()) {
		t.Fatalf("%d tensors of %d", len(shown.Tensors()), len(c.Tensors()))
	}
	r := rand.New(rand.NewPCG(1, 2))
	for i, x := range shown.Tensors() {
		b, shape := c.Blocks(i)
		if b == nil {
			continue
		}
		if x.DType != format.F32 || x.Stored != format.BF16 || !slices.Equal(x.Shape, shape) || !format.InPieces(shown, i) {
			t.Errorf("%s is shown as %v %v, which stands for %v", x.Name, x.DType, x.Shape, x.Stored)
		}
		if name, codes, n := shown.(*quant.Decoded).Scheme(i); name != b.Name || codes != format.U8 || n != c.Tensors()[i].Bytes() {
			t.Errorf("%s: scheme %s of %d bytes of %v", x.Name, name, n, codes)
		}
		raw := view(t, c, i, 0, c.Tensors()[i].Bytes())
		values, want := make([]float32, x.Elements()), make([]byte, x.Bytes())
		b.Decode(values, raw)
		format.Encode(format.F32, want, values)
		for range 200 {
			off := r.Int64N(x.Bytes())
			n := r.Int64N(x.Bytes() - off + 1)
			if !bytes.Equal(view(t, shown, i, off, n), want[off:off+n]) {
				t.Fatalf("%s: bytes [%d, %d) are others in a part", x.Name, off, off+n)
			}
		}
	}
}

func view(t *testing.T, c format.Checkpoint, i int, off, n int64) []byte {
	t.Helper()
	v, err := c.View(i, off, n)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Release()
	return slices.Clone(v.Data)
}

// What a batch ends in does not matter: any number of blocks gives the values of each by itself.
func TestBatches(t *testing.T) {
	c, err := gguf.Open(filepath.Join("testdata", "types.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := rand.New(rand.NewPCG(3, 4))
	for i, x := range c.Tensors() {
		b, _ := c.Blocks(i)
		if b == nil {
			continue
		}
		raw := view(t, c, i, 0, x.Bytes())
		one := func(src []byte) string {
			dst := make([]float32, b.Elements)
			b.Decode(dst, src)
			return fmt.Sprint(dst)
		}
		for _, n := range []int{0, 1, 7, 8, 9, 63, 64, 65, 200} {
			src, dst := make([]byte, 0, int64(n)*b.Bytes), make([]float32, int64(n)*b.Elements)
			for range n {
				k := r.Int64N(x.Bytes()/b.Bytes) * b.Bytes
				src = append(src, raw[k:k+b.Bytes]...)
			}
			b.Decode(dst, src)
			for k := range int64(n) {
				if got, want := fmt.Sprint(dst[k*b.Elements:][:b.Elements]), one(src[k*b.Bytes:][:b.Bytes]); got != want {
					t.Fatalf("%s: block %d of %d is %s, want %s", x.Name, k, n, got, want)
				}
			}
		}
	}
}

// BenchmarkDecode decodes a piece of codes that lie in the cache, and rounds the values to bfloat16.
func BenchmarkDecode(b *testing.B) {
	c, err := gguf.Open(filepath.Join("testdata", "types.gguf"))
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	const elements = 64 << 10
	r := rand.NewChaCha8([32]byte{})
	for i, x := range c.Tensors() {
		blocks, _ := c.Blocks(i)
		if blocks == nil {
			continue
		}
		src, dst, out := make([]byte, elements/blocks.Elements*blocks.Bytes), make([]float32, elements), make([]byte, 2*elements)
		r.Read(src)
		for _, bf16 := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/bf16=%v", x.Name, bf16), func(b *testing.B) {
				for b.Loop() {
					blocks.Decode(dst, src)
					if bf16 {
						format.Encode(format.BF16, out, dst)
					}
				}
				b.ReportMetric(float64(elements)*float64(b.N)/b.Elapsed().Seconds()/1e9, "Gelements/s")
			})
		}
	}
}
