package lora

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"weld/format"
	"weld/format/formattest"
	"weld/format/safetensors"
	"weld/mmapio"
)

// array is a tensor of a made-up checkpoint.
type array struct {
	dtype  format.DType
	shape  []int64
	values []float64 // as decoded from the dtype; nil for bytes that are no numbers
	bytes  []byte
}

// random makes a tensor whose values the dtype holds exactly.
func random(seed uint64, d format.DType, shape ...int64) array {
	n, ok := format.Elements(shape)
	if !ok {
		panic(shape)
	}
	r := rand.New(rand.NewPCG(seed, 7))
	a := array{dtype: d, shape: shape, values: make([]float64, n), bytes: make([]byte, n*int64(d.Bits())/8)}
	for i := range a.values {
		a.values[i] = r.NormFloat64()
	}
	format.Encode(d, a.bytes, a.values)
	format.Decode(d, a.values, a.bytes)
	return a
}

func opaque(d format.DType, shape ...int64) array {
	n, _ := format.Size(d, shape)
	return array{dtype: d, shape: shape, bytes: make([]byte, n)}
}

type arrays map[string]array

// open writes a checkpoint to a file and opens it.
func (a arrays) open(t testing.TB, name string, metadata map[string]string) format.Checkpoint {
	t.Helper()
	names := slices.Sorted(maps.Keys(a))
	var tensors []format.Tensor
	for _, n := range names {
		tensors = append(tensors, format.Tensor{Name: n, DType: a[n].dtype, Shape: a[n].shape})
	}
	layout, err := safetensors.NewLayout(tensors, metadata, math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	data := layout.Header(0)
	for _, i := range layout.Order() {
		data = append(data, a[names[i]].bytes...)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return formattest.Open(t, path)
}

// settings make a configuration; their order is Go's, of the keys.
type settings map[string]any

func (s settings) raw() []byte {
	whole := settings{"peft_type": "LORA", "bias": "none"}
	maps.Copy(whole, s)
	raw, err := json.Marshal(whole)
	if err != nil {
		panic(err)
	}
	return raw
}

func apply(t testing.TB, base, adapter arrays, s settings) format.Checkpoint {
	t.Helper()
	c, err := Apply(base.open(t, "model.safetensors", nil), adapter.open(t, "adapter_model.safetensors", nil), s.raw())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// lent copies a range of a tensor.
func lent(c format.Checkpoint, i int, off, n int64, lend func(int, int64, int64) (mmapio.View, error)) ([]byte, error) {
	v, err := lend(i, off, n)
	if err != nil {
		return nil, err
	}
	defer v.Release()
	if int64(len(v.Data)) != n {
		return nil, fmt.Errorf("%d bytes for %d", len(v.Data), n)
	}
	return slices.Clone(v.Data), nil
}

func content(t testing.TB, c format.Checkpoint, name string) (format.Tensor, []byte) {
	t.Helper()
	i, ok := c.Find(name)
	if !ok {
		t.Fatalf("%s is not found", name)
	}
	data, err := lent(c, i, 0, c.Tensors()[i].Bytes(), c.View)
	if err != nil {
		t.Fatal(err)
	}
	return c.Tensors()[i], data
}

func numbers(t testing.TB, c format.Checkpoint, name string) (format.DType, []float64) {
	t.Helper()
	tensor, data := content(t, c, name)
	values := make([]float64, tensor.Elements())
	format.Decode(tensor.DType, values, data)
	return tensor.DType, values
}

// failing is a checkpoint whose views fail from a count on, once.
type failing struct {
	format.Checkpoint
	left *atomic.Int64
}

var errInjected = errors.New("injected")

func (f failing) lend(lend func(int, int64, int64) (mmapio.View, error), i int, off, n int64) (mmapio.View, error) {
	if f.left.Add(-1) == 0 {
		return mmapio.View{}, errInjected
	}
	return lend(i, off, n)
}

func (f failing) View(i int, off, n int64) (mmapio.View, error) {
	return f.lend(f.Checkpoint.View, i, off, n)
}

func (f failing) Read(i int, off, n int64) (mmapio.View, error) {
	return f.lend(func(i int, off, n int64) (mmapio.View, error) { return format.Read(f.Checkpoint, i, off, n) }, i, off, n)
}
