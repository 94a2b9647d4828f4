package hub

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// QuantConfigName is the file in which NVIDIA's ModelOpt (0.15 and later) says how values are stored.
const QuantConfigName = "hf_quant_config.json"

// Quantization is what a configuration says of the scheme that values are stored in.
type Quantization struct {
	Key    string // with the objects around it: text_config.quantization_config
	Method string // as the configuration calls it, with the format or algorithm beside it
	Value  string // all that it says, without white space
}

// Quantizations lists what a config.json, or a hf_quant_config.json, says of the scheme that values are
// stored in, at any depth. A word that it is done when the model is loaded, to values that are stored plainly, is
// none (BitNet's quantization_mode: online).
func Quantizations(config []byte) (found []Quantization) {
	all, _ := members(config)
	for _, m := range all {
		if method, ok := quantization(config, all, m); ok {
			found = append(found, Quantization{strings.Join(append(slices.Clone(m.path), m.key), "."), method, compact(config[m.start:m.end])})
		}
	}
	return found
}

// compact takes the white space out of a value; one that is no JSON stays.
func compact(value []byte) string {
	var b bytes.Buffer
	if json.Compact(&b, value) != nil {
		return string(value)
	}
	return b.String()
}

// DropQuantization takes out of a config.json what [Quantizations] finds, and leaves every other byte as it is.
func DropQuantization(config []byte) []byte {
	for {
		all, _ := members(config)
		i := slices.IndexFunc(all, func(m member) bool { _, ok := quantization(config, all, m); return ok })
		if i < 0 {
			return config
		}
		config = splice(config, []textEdit{{whole(config, all[i]), nil}})
	}
}

// SetQuantization has a config.json say, first of all, how values are stored, in place of what [Quantizations] finds, and leaves every other
// byte as it is. It is false if that is no JSON object.
func SetQuantization(config, value []byte) ([]byte, bool) {
	const key = "quantization_config"
	config = DropQuantization(config)
	all, ok := members(config)
	if !ok {
		return config, false
	}
	if i := slices.IndexFunc(all, func(m member) bool { return m.key == key && len(m.path) == 0 }); i >= 0 { // null, and the like
		config = splice(config, []textEdit{{whole(config, all[i]), nil}})
	}
	return setTop(config, key, value)
}

// quantization reports whether a member says how values are stored, and by which method.
func quantization(config []byte, all []member, m member) (method string, ok bool) {
	if config[m.start] != '{' {
		return "", false
	}
	path := append(slices.Clone(m.path), m.key)
	says := func(key string) string {
		i := slices.IndexFunc(all, func(x member) bool { return x.key == key && slices.Equal(x.path, path) })
		if i < 0 {
			return ""
		}
		return strings.Trim(string(config[all[i].start:all[i].end]), `"`)
	}
	word := func(key string) string {
		if s := says(key); s != "null" {
			return s
		}
		return ""
	}
	switch m.key {
	case "quantization_config", "compression_config": // the older name of compressed-tensors
		if word("quantization_mode") == "online" || !slices.ContainsFunc(all, func(x member) bool { return slices.Equal(x.path, path) }) {
			return "", false
		}
	case "quantization": // MLX; ModelOpt
		if word("bits") == "" && word("quant_algo") == "" && word("kv_cache_quant_algo") == "" {
			return "", false
		}
	default:
		return "", false
	}
	method = word("quant_method")
	switch {
	case method != "":
	case says("load_in_4bit") == "true" || says("load_in_8bit") == "true":
		method = "bitsandbytes"
	case word("bits") != "" && m.key == "quantization":
		method = "mlx"
	case word("quant_algo") != "" || word("kv_cache_quant_algo") != "":
		method = "modelopt"
	case m.key == "compression_config" || word("config_groups") != "":
		method = "compressed-tensors"
	}
	for _, detail := range []string{"quant_algo", "format"} {
		if w := word(detail); w != "" && !strings.HasPrefix(w, "{") {
			method = strings.TrimSpace(method + " " + w)
			break
		}
	}
	return method, true
}

// whole is a member with its key and the comma that goes with it.
func whole(doc []byte, m member) span {
	blank := func(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }
	back := func(at int) int {
		for at > 0 && blank(doc[at-1]) {
			at--
		}
		return at
	}
	start := back(m.start) - 1                   // before the colon
	start = back(start) - len(m.key) - len(`""`) // at the key
	end := m.end
	for end < len(doc) && blank(doc[end]) {
		end++
	}
	if end < len(doc) && doc[end] == ',' {
		for end++; end < len(doc) && blank(doc[end]); end++ {
		}
		return span{start, end}
	}
	if before := back(start); before > 0 && doc[before-1] == ',' {
		start = before - 1
	}
	return span{start, m.end}
}
