package hub

import (
	"io/fs"
	"path"
	"slices"
	"strings"

	"weld/format"
	"weld/mmapio"
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

// MaxSidecar is the most bytes that a file beside the weights may have.
const MaxSidecar = format.MaxSmall

// Sidecars lists the files beside the weights of a checkpoint that a
// merged checkpoint needs as well: configuration, tokenizer, templates, licence,
// code. Names are sorted. skipped are the directories that are not carried. What is neither file
// nor directory is an error.
func Sidecars(files fs.FS) (names, skipped []string, err error) {
	names, skipped, err = sidecars(files, ".")
	slices.Sort(names)
	return names, skipped, err
}

func sidecars(files fs.FS, dir string) (names, skipped []string, err error) {
	entries, err := fs.ReadDir(files, dir)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || IsWeights(e.Name()) {
			continue
		}
		name := path.Join(dir, e.Name())
		info, err := fs.Stat(files, name) // the cache is made of links
		switch {
		case err != nil:
			return nil, nil, err
		case info.Mode().IsRegular():
			names = append(names, name)
		case name == templateDir: // one level; links may go in circles
			more, _, err := sidecars(files, name)
			if err != nil {
				return nil, nil, err
			}
			names = append(names, more...)
		case info.IsDir():
			skipped = append(skipped, name)
		default:
			return nil, nil, &mmapio.NotRegularError{Path: name, Mode: info.Mode()}
		}
	}
	return names, skipped, nil
}
