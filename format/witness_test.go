package format_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"weld/format"
	"weld/format/open"
	"weld/format/safetensors"
	"weld/mmapio"
)

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

func (w *witness) Beside() format.Folder { return format.Directory(filepath.Dir(w.Path())) }

func (w *witness) Metadata() map[string]string { return map[string]string{w.Path(): "a witness"} }

func (w *witness) Notes() []string { return []string{"a note on " + w.Path()} }

func (w *witness) ViewCost(n int64) int64 { return n + extraCost }

func (w *witness) FileOf(i int) int { return format.FileOf(w.Checkpoint, i) }

func (w *witness) InPieces(int) bool { return true }

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
