package hub

import (
	"regexp"

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
