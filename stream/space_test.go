package stream

import (
	"errors"
	"fmt"
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
// sparse input larger than what is free. One that it holds only if values compress is noted.
func TestNoSpace(t *testing.T) {
	dir := t.TempDir()
	free, ok := mmapio.FreeSpace(dir)
	if !ok {
		t.Skip("the system does not say what space is free")
	}
	refused, noted := "B are needed, ", "B are needed, if its values hardly compress"
	for _, c := range []struct {
		out         string
		size        int64
		error, note string
	}{
		{"out", 2*free + 1<<30, refused, ""},
		{"out.safetensors", 2*free + 1<<30, refused, ""},
		{"out.safetensors.zst", 2*free + 1<<30, refused, ""},
		{"out.safetensors", free + free/2, refused, ""},
		{"out.safetensors.zst", free + free/2, "", noted},
		{"out.weld", 2*free + 1<<30, "", noted},
		{"out.safetensors", free / 2, "", ""},
		{"out.safetensors.zst", free / 2, "", ""},
	} {
		p, err := Prepare(passed(t, sparse(t, dir, c.size)), filepath.Join(dir, c.out), Options{})
		if (err != nil) != (c.error != "") || err != nil && !strings.Contains(err.Error(), c.error) {
			t.Errorf("%s of %d bytes, %d are free: %v", c.out, c.size, free, err)
		}
		if err != nil {
			continue
		}
		if notes := strings.Join(p.Notes, "\n"); strings.Contains(notes, noted) != (c.note != "") {
			t.Errorf("%s of %d bytes, %d are free: %q", c.out, c.size, free, notes)
		}
		p.Close()
	}
}

// sparse is a model of a tensor of so many zeros, which take no space.
func sparse(t *testing.T, dir string, size int64) (path string) {
	t.Helper()
	path = filepath.Join(dir, fmt.Sprint(size, ".safetensors"))
	layout, err := safetensors.NewLayout([]format.Tensor{{Name: "w", DType: format.U8, Shape: []int64{size}}}, nil, safetensors.OneShard)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, layout.Header(0), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, layout.Size()); err != nil {
		t.Skip(err) // no sparse files of that size
	}
	return path
}

// passed is a recipe that passes a model on.
func passed(t *testing.T, model string) *recipe.Recipe {
	t.Helper()
	r, err := Schema().Resolve(&recipe.Draft{
		Method: recipe.Setting{Text: "passthrough"},
		Models: []recipe.DraftModel{{Path: recipe.Setting{Text: model}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What is carried takes disk space as well.
func TestNoSpaceForWhatIsCarried(t *testing.T) {
	dir := t.TempDir()
	free, ok := mmapio.FreeSpace(dir)
	if !ok {
		t.Skip("the system does not say what space is free")
	}
	whole := checkpoint{raw("w", format.U8, make([]byte, 8), 8)}
	model, words := filepath.Join(dir, "model.safetensors"), filepath.Join(dir, "vocab.txt")
	if err := errors.Join(os.WriteFile(model, whole.file(nil), 0o666), os.WriteFile(words, nil, 0o666)); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(words, 2*free+1<<30); err != nil {
		t.Skip(err)
	}
	p, err := Prepare(passed(t, dir), filepath.Join(dir, "out"), Options{})
	if err == nil {
		p.Close()
	}
	if err == nil || !strings.Contains(err.Error(), " are needed") {
		t.Error(err)
	}
}
