package hub

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// weightSuffixes end the names of files that hold tensors, or an index over some,
// in any framework. They are replaced by a merge, not carried.
var weightSuffixes = []string{
	".safetensors", ".safetensors.zst", ".index.json", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".ggml",
	".h5", ".msgpack", ".onnx", ".onnx_data", ".tflite", ".npz", ".ot", ".weld", ".weldpatch",
}

// templateDir is the one directory that belongs to a tokenizer.
const templateDir = "additional_chat_templates"

// IsWeights reports whether a file name is that of a file with tensors.
func IsWeights(name string) bool {
	return slices.ContainsFunc(weightSuffixes, func(suffix string) bool { return strings.HasSuffix(name, suffix) })
}

// Sidecars lists the files beside the weights in a checkpoint's directory that a
// merged checkpoint needs as well: configuration, tokenizer, templates, licence,
// code. Names are relative to dir, with slashes, sorted. skipped are the
// directories that are not carried.
func Sidecars(dir string) (files, skipped []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") || IsWeights(name) {
			continue
		}
		info, err := os.Stat(filepath.Join(dir, name)) // the cache is made of links
		switch {
		case err != nil:
			return nil, nil, err
		case info.Mode().IsRegular():
			files = append(files, name)
		case name == templateDir && filepath.Base(dir) != templateDir: // one level; links may go in circles
			more, _, err := Sidecars(filepath.Join(dir, name))
			if err != nil {
				return nil, nil, err
			}
			for _, m := range more {
				files = append(files, name+"/"+m)
			}
		case info.IsDir():
			skipped = append(skipped, name)
		}
	}
	slices.Sort(files)
	return files, skipped, nil
}
