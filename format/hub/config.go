package hub

import (
	"bytes"
	"regexp"
	"strconv"

	"weld/format"
)

// ConfigName is the file that describes a model's architecture.
const ConfigName = "config.json"

// declaredDType matches a dtype that a config declares. A pattern and no parser,
// because Python writes what is no JSON (Infinity), and because every other byte has
// to stay.
var declaredDType = regexp.MustCompile(`("(?:torch_)?dtype"\s*:\s*")([^"\\]*)"`)

// SetDType rewrites the dtype that a config.json declares, under torch_dtype or
// dtype at any depth, and leaves every other byte as it is. A value that names no
// dtype, such as "auto", stays.
func SetDType(config []byte, dtype format.DType) []byte {
	return declaredDType.ReplaceAllFunc(config, func(found []byte) []byte {
		m := declaredDType.FindSubmatch(found)
		if _, known := format.ParseTorchDType(string(m[2])); !known {
			return found
		}
		return []byte(string(m[1]) + dtype.Torch() + `"`)
	})
}

// declaredLayers matches the number of layers under the names that architectures give it.
var declaredLayers = regexp.MustCompile(`("(?:num_hidden_layers|num_layers|n_layers?|num_decoder_layers)"\s*:\s*)(\d+)`)

// SetLayers rewrites the number of layers that a config.json declares, where it is from, and
// leaves every other byte as it is: other parts of a model have layers of their own.
func SetLayers(config []byte, from, to int64) []byte {
	return declaredLayers.ReplaceAllFunc(config, func(found []byte) []byte {
		m := declaredLayers.FindSubmatch(found)
		if n, err := strconv.ParseInt(string(m[2]), 10, 64); err != nil || n != from {
			return found
		}
		return strconv.AppendInt(bytes.Clone(m[1]), to, 10)
	})
}

// perLayer matches a list that has an entry for each layer.
var perLayer = regexp.MustCompile(`"(layer_types|layers_block_type|mlp_only_layers|no_rope_layers)"\s*:\s*\[\s*[^\]\s]`)

// LayerLists names the keys of a config.json that say something of every layer, and that
// [SetLayers] leaves alone.
func LayerLists(config []byte) (keys []string) {
	for _, m := range perLayer.FindAllSubmatch(config, -1) {
		keys = append(keys, string(m[1]))
	}
	return keys
}
