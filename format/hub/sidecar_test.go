package hub

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestIsWeights(t *testing.T) {
	for _, name := range []string{
		"model.safetensors", "model-00001-of-00002.safetensors", "model.safetensors.index.json", "model.safetensors.zst",
		"pytorch_model.bin", "pytorch_model.bin.index.json", "training_args.bin", "optimizer.pt", "consolidated.00.pth",
		"last.ckpt", "model.Q4_K_M.gguf", "old.ggml", "tf_model.h5", "flax_model.msgpack", "model.onnx", "model.onnx_data",
		"lite.tflite", "arrays.npz", "rust_model.ot", "model.weld", "model.weldpatch",
	} {
		if !IsWeights(name) {
			t.Errorf("%s holds tensors", name)
		}
	}
	for _, name := range []string{
		"config.json", "generation_config.json", "tokenizer.json", "tokenizer.model", "spiece.model", "merges.txt", "vocab.json",
		"LICENSE", "README.md", "modeling_own.py", "chat_template.jinja", "index.json", "safetensors", "bin", "model.safetensors.txt",
	} {
		if IsWeights(name) {
			t.Errorf("%s holds no tensors", name)
		}
	}
}

// TestSidecars lists a directory like that of a snapshot in the cache, where every
// file is a link to a blob.
func TestSidecars(t *testing.T) {
	dir, blobs := t.TempDir(), t.TempDir()
	for _, name := range []string{
		"config.json", "LICENSE", "tokenizer.json", "code.py", "model.safetensors", "pytorch_model.bin", "tf_model.h5",
		"model.safetensors.index.json", ".gitattributes", "original/params.json", "onnx/model.onnx", ".cache/x",
		"additional_chat_templates/tool_use.jinja", "additional_chat_templates/rag.jinja",
		"additional_chat_templates/.hidden", "additional_chat_templates/sub/x",
	} {
		writeFile(t, filepath.Join(dir, filepath.FromSlash(name)), name)
	}
	writeFile(t, filepath.Join(blobs, "aa"), "a blob")
	writeFile(t, filepath.Join(blobs, "directory", "x"), "")
	for link, target := range map[string]string{
		"vocab.txt":                              "aa",
		"linked.safetensors":                     "aa",
		"removed.safetensors":                    "no such blob", // whoever needs it will say so
		"linked-dir":                             "directory",
		"additional_chat_templates/linked.jinja": "aa",
	} {
		if err := os.Symlink(filepath.Join(blobs, target), filepath.Join(dir, filepath.FromSlash(link))); err != nil {
			t.Skip(err)
		}
	}
	files, skipped, err := Sidecars(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	wantFiles := []string{
		"LICENSE", "additional_chat_templates/linked.jinja", "additional_chat_templates/rag.jinja",
		"additional_chat_templates/tool_use.jinja", "code.py", "config.json", "tokenizer.json", "vocab.txt",
	}
	if !slices.Equal(files, wantFiles) {
		t.Errorf("files %q, want %q", files, wantFiles)
	}
	if want := []string{"linked-dir", "onnx", "original"}; !slices.Equal(skipped, want) {
		t.Errorf("skipped %q, want %q", skipped, want)
	}
}

func TestSidecarsFail(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := Sidecars(os.DirFS(filepath.Join(dir, "none"))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of no directory: %v", err)
	}
	if err := os.Symlink(filepath.Join(dir, "no blob"), filepath.Join(dir, "tokenizer.json")); err != nil {
		t.Skip(err)
	}
	if _, _, err := Sidecars(os.DirFS(dir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("with a tokenizer that leads nowhere: %v, want an error", err)
	}
}

// TestSidecarsInCircles has the one directory that is entered lead back to itself.
func TestSidecarsInCircles(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "config.json"), "{}")
	if err := os.Symlink(dir, filepath.Join(dir, templateDir)); err != nil {
		t.Skip(err)
	}
	files, skipped, err := Sidecars(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{templateDir + "/config.json", "config.json"}; !slices.Equal(files, want) || skipped != nil {
		t.Errorf("files %q, skipped %q, want %q", files, skipped, want)
	}
}
