package stream

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weld/format"
	"weld/format/safetensors"
	"weld/mmapio"
	"weld/stream/recipe"
)

// An output that the disk cannot hold is found before anything is read: here that of a
// sparse input larger than what is free.
func TestNoSpace(t *testing.T) {
	dir := t.TempDir()
	free, ok := mmapio.FreeSpace(dir)
	if !ok {
		t.Skip("the system does not say what space is free")
	}
	model := filepath.Join(dir, "model.safetensors")
	entries, _ := safetensors.Arrange([]format.Tensor{{Name: "w", DType: format.U8, Shape: []int64{2*free + 1<<30}}})
	header := safetensors.Header{Tensors: entries}
	raw := header.AppendFile(nil)
	if err := os.WriteFile(model, raw, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(model, int64(len(raw))+entries[0].End); err != nil {
		t.Skip(err) // no sparse files of that size
	}
	r, err := Schema().Resolve(&recipe.Draft{
		Method: recipe.Setting{Text: "passthrough"},
		Models: []recipe.DraftModel{{Path: recipe.Setting{Text: model}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{"out", "out.safetensors", "out.safetensors.zst"} {
		p, err := Prepare(r, filepath.Join(dir, out), Options{})
		if err == nil {
			p.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "B are needed, ") {
			t.Errorf("%s: %v", out, err)
		}
	}
}

// What is carried takes disk space as well.
func TestNoSpaceForWhatIsCarried(t *testing.T) {
	dir := t.TempDir()
	free, ok := mmapio.FreeSpace(dir)
	if !ok {
		t.Skip("the system does not say what space is free")
	}
	entries, _ := safetensors.Arrange([]format.Tensor{{Name: "w", DType: format.U8, Shape: []int64{8}}})
	header := safetensors.Header{Tensors: entries}
	model, words := filepath.Join(dir, "model.safetensors"), filepath.Join(dir, "vocab.txt")
	if err := errors.Join(os.WriteFile(model, append(header.AppendFile(nil), make([]byte, 8)...), 0o666), os.WriteFile(words, nil, 0o666)); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(words, 2*free+1<<30); err != nil {
		t.Skip(err)
	}
	r, err := Schema().Resolve(&recipe.Draft{
		Method: recipe.Setting{Text: "passthrough"},
		Models: []recipe.DraftModel{{Path: recipe.Setting{Text: dir}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := Prepare(r, filepath.Join(dir, "out"), Options{})
	if err == nil {
		p.Close()
	}
	if err == nil || !strings.Contains(err.Error(), " are needed") {
		t.Error(err)
	}
}
