package llamacpp

import (
	"os"
	"path/filepath"
	"testing"

	"weld/format"
	"weld/format/gguf"
)

// FuzzToHub shows whatever opens as GGUF as a model of the Hub: it is refused, or every tensor can be seen and the files are written.
func FuzzToHub(f *testing.F) {
	for _, name := range goldens {
		raw, err := os.ReadFile(filepath.Join("testdata", name+".gguf"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		path := filepath.Join(t.TempDir(), "model.gguf")
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := gguf.Open(path)
		if err != nil {
			return
		}
		defer file.Close()
		h, err := ToHub(file, file)
		if err != nil {
			if format.KindOf(err) == "" {
				t.Errorf("an error of no kind: %v", err)
			}
			return
		}
		seen(t, h.Checkpoint)
		if _, err := h.FilesBeside(format.BF16); err != nil {
			t.Errorf("files: %v", err)
		}
	})
}

// seen looks at every byte of small tensors.
func seen(t *testing.T, c format.Checkpoint) {
	t.Helper()
	for i, x := range c.Tensors() {
		if x.Bytes() > 1<<20 {
			continue
		}
		view, err := c.View(i, 0, x.Bytes())
		if err != nil || int64(len(view.Data)) != x.Bytes() {
			t.Fatalf("%s: %d of %d bytes: %v", x.Name, len(view.Data), x.Bytes(), err)
		}
		view.Release()
	}
}

// FuzzToGGUF shows a model of the Hub with whatever configuration and tokenizer as one of llama.cpp's: it is refused, or every tensor can be seen, and the
// metadata is read again.
func FuzzToGGUF(f *testing.F) {
	for _, name := range goldens {
		file, err := gguf.Open(filepath.Join("testdata", name+".gguf"))
		if err != nil {
			f.Fatal(err)
		}
		h, err := ToHub(file, file)
		if err != nil {
			f.Fatal(err)
		}
		files, err := h.FilesBeside(format.BF16)
		if err != nil {
			f.Fatal(err)
		}
		pieces, _ := os.ReadFile(filepath.Join("testdata", name+".model"))
		f.Add(name, files[0].Content, files[1].Content, files[2].Content, pieces)
		file.Close()
	}
	f.Fuzz(func(t *testing.T, name string, config, tokenizer, tokens, pieces []byte) {
		file, err := gguf.Open(filepath.Join("testdata", filepath.Base(name)+".gguf"))
		if err != nil {
			return
		}
		defer file.Close()
		h, err := ToHub(file, file)
		if err != nil {
			return // an adapter
		}
		dir := t.TempDir()
		for name, content := range map[string][]byte{configName: config, tokenizerName: tokenizer, tokenizerConfigName: tokens, sentencePieceName: pieces} {
			if len(content) == 0 {
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		g, err := fromFolder(h.Checkpoint, format.Directory(dir))
		if err != nil {
			if format.KindOf(err) == "" {
				t.Errorf("an error of no kind: %v", err)
			}
			return
		}
		seen(t, g.Checkpoint)
		said(t, g.Pairs)
	})
}
