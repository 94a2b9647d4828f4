// Package formattest holds what a reader shows to what another program read from the same files, for tests of containers.
//
// The package knows tensors and their bytes. It never knows where a reader has them from.
package formattest

import (
	"bytes"
	"slices"
	"testing"

	"weld/format"
	"weld/format/safetensors"
	"weld/mmapio"
)

// Open opens a file of safetensors, as goldens are, for as long as the test.
func Open(t testing.TB, path string) format.Checkpoint {
	t.Helper()
	file, err := mmapio.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := safetensors.OpenFile(path, file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// whole is a view that has all of a golden's tensor.
const whole = 1 << 20

// Hold demands every tensor of want, with its type, its shape, and its bytes: in views of several sizes, and where it is said to be stored.
func Hold(t testing.TB, got, want format.Checkpoint) {
	t.Helper()
	for i, w := range want.Tensors() {
		j, ok := got.Find(w.Name)
		if !ok {
			t.Errorf("no tensor %q", w.Name)
			continue
		}
		if g := got.Tensors()[j]; g.Name != w.Name || g.DType != w.DType || !slices.Equal(g.Shape, w.Shape) {
			t.Errorf("%v, want %v", g, w)
		}
		data := elements(t, want, i, whole)
		for _, size := range []int64{whole, 12, 7} {
			if shown := elements(t, got, j, size); !bytes.Equal(shown, data) {
				t.Errorf("%q in views of %d bytes: %x, want %x", w.Name, size, shown, data)
			}
		}
		if file, begin := format.Stored(got, j); file != nil {
			stored := make([]byte, len(data))
			if _, err := file.ReadAt(stored, begin); err != nil || !bytes.Equal(stored, data) {
				t.Errorf("%q is said to be stored at byte %d of %s, %v", w.Name, begin, file.Path(), err)
			}
		}
	}
}

// elements are the bytes of a tensor, in ranges of a size that are lent and copied by turns.
func elements(t testing.TB, c format.Checkpoint, i int, size int64) (data []byte) {
	t.Helper()
	n := c.Tensors()[i].Bytes()
	for off := int64(0); off < n; off += size {
		lend := c.View
		if off/size%2 == 1 {
			lend = func(i int, off, n int64) (mmapio.View, error) { return format.Read(c, i, off, n) }
		}
		v, err := lend(i, off, min(size, n-off))
		if err != nil {
			t.Fatal(err)
		}
		data = append(data, v.Data...)
		v.Release()
	}
	return data
}
