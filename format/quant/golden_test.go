package quant

import (
	"bytes"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"weld/format"
	"weld/format/open"
)

// golden is a checkpoint that a library wrote, shown, and what the library decodes from it (.ci/interop/quant_integers_golden.py).
func golden(t *testing.T, name string) (shown, want format.Checkpoint) {
	t.Helper()
	c := opened(t, filepath.Join("testdata", name+".safetensors"))
	shown, err := Show(c, Declared{Config: []byte(format.Metadata(c)["config"])})
	if err != nil {
		t.Fatal(err)
	}
	return shown, opened(t, filepath.Join("testdata", name+".want.safetensors"))
}

// opened opens a checkpoint for as long as the test.
func opened(t *testing.T, path string) format.Checkpoint {
	t.Helper()
	c, err := open.Checkpoint(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// holdGolden holds all that a checkpoint shows to what its library decodes. plain are names of tensors that are stored plainly.
func holdGolden(t *testing.T, name string, plain ...string) {
	t.Helper()
	got, want := golden(t, name)
	for _, x := range got.Tensors() {
		_, decoded := want.Find(x.Name)
		if !decoded && !slices.Contains(plain, x.Name) {
			t.Errorf("%s is shown", x.Name)
		}
	}
	for j, x := range want.Tensors() {
		i, ok := got.Find(x.Name)
		if !ok || !slices.Equal(got.Tensors()[i].Shape, x.Shape) {
			t.Errorf("%s %v is not shown with its shape", x.Name, x.Shape)
			continue
		}
		holdRanges(t, got, i, whole(t, want, j))
	}
	if s, _ := Recognize(Declared{}, got.Tensors()); s != nil {
		t.Errorf("%+v is left", s)
	}
}

// whole are a tensor's bytes.
func whole(t *testing.T, c format.Checkpoint, i int) []byte {
	t.Helper()
	view, err := c.View(i, 0, c.Tensors()[i].Bytes())
	if err != nil {
		t.Fatal(err)
	}
	defer view.Release()
	return slices.Clone(view.Data)
}

// holdRanges holds a tensor, and any ranges of it, to its bytes.
func holdRanges(t *testing.T, c format.Checkpoint, i int, want []byte) {
	t.Helper()
	x := c.Tensors()[i]
	if int64(len(want)) != x.Bytes() || !bytes.Equal(whole(t, c, i), want) {
		got := whole(t, c, i)
		for k := 0; k+4 <= min(len(want), len(got)); k += 4 {
			if !bytes.Equal(got[k:k+4], want[k:k+4]) {
				var pair [2]float32
				format.Decode(format.F32, pair[:1], got[k:k+4])
				format.Decode(format.F32, pair[1:], want[k:k+4])
				t.Fatalf("%s: element %d is %v, not %v", x.Name, k/4, pair[0], pair[1])
			}
		}
		t.Fatalf("%s: %d bytes, not %d", x.Name, len(got), len(want))
	}
	r := rand.New(rand.NewPCG(7, 8))
	for k := range 60 {
		off := r.Int64N(x.Bytes())
		n := r.Int64N(x.Bytes()-off) + 1
		if k%2 == 0 {
			n = min(n, 1+r.Int64N(600))
		}
		view, err := c.View(i, off, n)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(view.Data, want[off:off+n]) {
			t.Fatalf("%s: bytes [%d, %d) differ", x.Name, off, off+n)
		}
		view.Release()
	}
}

// encoded are the bytes of values.
func encoded(values []float32) []byte {
	data := make([]byte, 4*len(values))
	format.Encode(format.F32, data, values)
	return data
}

// refused holds that a checkpoint is refused for its scheme, naming a tensor.
func refused(t *testing.T, config, tensor string, tensors ...stored) {
	t.Helper()
	_, err := Show(saved(t, tensors...), Declared{Config: []byte(config)})
	if e, ok := err.(*format.Error); !ok || e.Kind != format.KindScheme || e.Tensor != tensor {
		t.Errorf("%v: %v", tensors[0].Shape, err)
	}
}
