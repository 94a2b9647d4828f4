package hub

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"weld/format"
)

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
	files, skipped, err := Sidecars(format.Directory(dir))
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
	if _, _, err := Sidecars(format.Directory(filepath.Join(dir, "none"))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of no directory: %v", err)
	}
	if err := os.Symlink(filepath.Join(dir, "no blob"), filepath.Join(dir, "tokenizer.json")); err != nil {
		t.Skip(err)
	}
	if _, _, err := Sidecars(format.Directory(dir)); !errors.Is(err, fs.ErrNotExist) {
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
	files, skipped, err := Sidecars(format.Directory(dir))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{templateDir + "/config.json", "config.json"}; !slices.Equal(files, want) || skipped != nil {
		t.Errorf("files %q, skipped %q, want %q", files, skipped, want)
	}
}
