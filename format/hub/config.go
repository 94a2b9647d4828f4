package hub

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"weld/format"
)

// ConfigName is the file that describes a model's architecture.
const ConfigName = "config.json"

// SetDType rewrites the dtype that a config.json declares, under torch_dtype or
// dtype at any depth, and leaves every other byte as it is. A value that names no
// dtype, such as "auto", stays.
func SetDType(config []byte, dtype format.DType) ([]byte, error) {
	var out []byte
	copied := 0 // bytes of config that out has
	err := eachString(config, func(key string, from, to int) {
		var old string
		if key != "torch_dtype" && key != "dtype" || json.Unmarshal(config[from:to], &old) != nil {
			return
		}
		if _, known := format.ParseTorchDType(old); !known {
			return
		}
		out = append(out, config[copied:from]...)
		out = append(out, '"')
		out = append(out, dtype.Torch()...)
		out = append(out, '"')
		copied = to
	})
	if err != nil {
		return nil, fmt.Errorf("read JSON: %w", err)
	}
	return append(out, config[copied:]...), nil
}

// eachString visits the string values of a JSON document that stand under a key in an
// object: the bytes [from, to) are the value with its quotes.
func eachString(doc []byte, visit func(key string, from, to int)) error {
	d := json.NewDecoder(bytes.NewReader(doc))
	type level struct {
		object bool
		key    string
		isKey  bool // the next string is a key
	}
	var levels []level
	for {
		before := int(d.InputOffset())
		token, err := d.Token()
		if errors.Is(err, io.EOF) && len(levels) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		if delim, ok := token.(json.Delim); ok && (delim == '}' || delim == ']') {
			levels = levels[:len(levels)-1]
		}
		top := &level{}
		if len(levels) > 0 {
			top = &levels[len(levels)-1]
		}
		text, isString := token.(string)
		switch {
		case top.isKey && isString:
			top.key, top.isKey = text, false
			continue
		case isString && top.object:
			to := int(d.InputOffset())
			visit(top.key, before+bytes.IndexByte(doc[before:to], '"'), to)
		}
		top.isKey = top.object
		if delim, ok := token.(json.Delim); ok && (delim == '{' || delim == '[') {
			levels = append(levels, level{object: delim == '{', isKey: delim == '{'})
		}
	}
}
