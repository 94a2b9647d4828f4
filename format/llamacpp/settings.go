package llamacpp

import (
	"encoding/json"
	"fmt"
	"math"

	"weld/format"
)

// settings read a config.json. The first error stays.
type settings struct {
	path string // of the file
	all  map[string]any
	err  error
}

// parseSettings reads a configuration.
func parseSettings(path string, raw []byte) (*settings, error) {
	s := &settings{path: path}
	if err := json.Unmarshal(raw, &s.all); err != nil || s.all == nil {
		return nil, &format.Error{Path: path, Kind: format.KindJSON, Detail: "it is no JSON object, and says nothing of the model", Err: err}
	}
	return s, nil
}

func (s *settings) fail(text string, args ...any) {
	if s.err == nil {
		s.err = &format.Error{Path: s.path, Kind: format.KindMetadata, Detail: fmt.Sprintf(text, args...)}
	}
}

// sub is an object in it; nil if there is none.
func (s *settings) sub(key string) *settings {
	object, ok := s.all[key].(map[string]any)
	if !ok {
		return nil
	}
	return &settings{path: s.path, all: object}
}

// size is a number from 1 on; without a fallback, it has to be there. After an error it is some size.
func (s *settings) size(key string, fallback int64) int64 {
	value, ok := s.all[key]
	if !ok || value == nil {
		if fallback == 0 {
			s.fail("%s is not there, and GGUF has it", key)
		}
		return max(1, fallback)
	}
	x, ok := value.(float64)
	if !ok || x != math.Trunc(x) || x < 1 || x > mostSize {
		s.fail("%s is %v, and no size", key, value)
		return max(1, fallback)
	}
	return int64(x)
}

// number is one that is finite in float32; ok is false where it is not there.
func (s *settings) number(key string) (x float64, ok bool) {
	value, there := s.all[key]
	if !there || value == nil {
		return 0, false
	}
	if x, ok = value.(float64); !ok || math.Abs(x) > math.MaxFloat32 {
		s.fail("%s is %v, and no number", key, value)
		return 0, false
	}
	return x, true
}

// needed is a number that has to be there, if there is no fallback.
func (s *settings) needed(key string, fallback float64) float64 {
	x, ok := s.number(key)
	if !ok {
		if x = fallback; math.IsNaN(fallback) {
			s.fail("%s is not there, and GGUF has it", key)
		}
	}
	return x
}

// text is a text; "" if it is not there.
func (s *settings) text(key string) string {
	value, ok := s.all[key]
	text, isText := value.(string)
	if ok && value != nil && !isText {
		s.fail("%s is %v, and no text", key, value)
	}
	return text
}

// truth is a truth value, or what holds without it.
func (s *settings) truth(key string, without bool) bool {
	value, ok := s.all[key]
	truth, isTruth := value.(bool)
	if !ok || value == nil {
		return without
	}
	if !isTruth {
		s.fail("%s is %v, and no truth value", key, value)
	}
	return truth
}

// only refuses what llama.cpp has no word for: any value but the one that it computes with. Where it is not there, transformers takes without.
func (s *settings) only(key string, without any, computes ...any) {
	value, ok := s.all[key]
	if !ok {
		value = without
	}
	for _, c := range computes {
		if c == value {
			return
		}
	}
	s.fail("%s is %v, and llama.cpp computes with %v: a file in GGUF would be another model", key, shown(value), shown(computes[0]))
}

// shown is a value of JSON for a message.
func shown(v any) any {
	if v == nil {
		return "null"
	}
	return v
}
