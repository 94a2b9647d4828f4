package format

import (
	"regexp"
	"slices"
	"strings"
)

// weightSuffixes end the names of files that hold tensors, or an index over some,
// in any framework. They are replaced by a merge, not carried.
var weightSuffixes = []string{
	".safetensors", ".safetensors.zst", ".bin", ".pt", ".pth", ".ckpt", ".distcp", ".gguf", ".ggml",
	".h5", ".msgpack", ".onnx", ".onnx_data", ".tflite", ".npz", ".ot", ".weld", ".weldpatch",
}

// indexName is that of an index over shards, of whatever format, and of a variant as well.
var indexName = regexp.MustCompile(`\.index(\.\w+)?\.json$`)

// Superseded reports whether a file of an output that is replaced must not stay beside what replaces it: weights, and what lists components.
func Superseded(name string) bool {
	return IsWeights(name) || name == PipelineName || name == ModulesName
}

// IsWeights reports whether a file name is that of a file with tensors.
func IsWeights(name string) bool {
	return slices.ContainsFunc(weightSuffixes, func(suffix string) bool { return strings.HasSuffix(name, suffix) }) || indexName.MatchString(name)
}
