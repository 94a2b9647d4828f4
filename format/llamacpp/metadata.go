package llamacpp

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"weld/format"
	"weld/format/gguf"
)

const (
	architectureKey = "general.architecture"
	typeKey         = "general.type"
)

// metadata reads what a file says of its architecture, and keeps in mind what has been read. The first error stays.
type metadata struct {
	file *gguf.Checkpoint
	name string // of the architecture
	read map[string]bool
	err  error
}

// mostSize is more than any size of a model, and few enough to multiply.
const mostSize = 1 << 30

// get is the value of a key behind the architecture's name.
func (m *metadata) get(key string) (gguf.Value, bool) {
	key = m.name + "." + key
	m.read[key] = true
	return m.file.Value(key)
}

// fail keeps the first error.
func (m *metadata) fail(key, text string, args ...any) {
	if m.err == nil {
		m.err = m.refuse(format.KindMetadata, "%s.%s %s", m.name, key, fmt.Sprintf(text, args...))
	}
}

func (m *metadata) refuse(kind format.Kind, text string, args ...any) error {
	return &format.Error{Path: m.file.Path(), Kind: kind, Detail: fmt.Sprintf(text, args...)}
}

// size is a number from 1 on, the same for all layers; without a fallback, it has to be there. After an error it is some size.
func (m *metadata) size(key string, fallback int64) int64 {
	v, ok := m.get(key)
	if !ok {
		if fallback == 0 {
			m.fail(key, "is not there, and models of %s have it", m.name)
		}
		return max(1, fallback)
	}
	list, ok := v.Ints()
	switch {
	case !ok || len(list) == 0:
		m.fail(key, "is %v, and no number", v)
	case slices.Max(list) != slices.Min(list):
		m.fail(key, "is %v: layers of different sizes, which no configuration of the Hub's for %s says", v, m.name)
	case list[0] < 1 || list[0] > mostSize:
		m.fail(key, "is %v, and no size", v)
	default:
		return list[0]
	}
	return max(1, fallback)
}

// float is a number that is finite.
func (m *metadata) float(key string, fallback float64) float64 {
	v, ok := m.get(key)
	if !ok {
		if math.IsNaN(fallback) {
			m.fail(key, "is not there, and models of %s have it", m.name)
		}
		return fallback
	}
	x, ok := v.Float()
	if !ok || math.IsNaN(x) || math.IsInf(x, 0) {
		m.fail(key, "is %v, and no number", v)
	}
	return x
}

// text is a text, "" if it is not there.
func (m *metadata) text(key string) string {
	v, ok := m.get(key)
	if !ok {
		return ""
	}
	text, ok := v.Text()
	if !ok {
		m.fail(key, "is %v, and no text", v)
	}
	return text
}

// only refuses a value that is not one that changes nothing; the key need not be there, and may have been understood before.
func (m *metadata) only(key string, harmless ...float64) {
	if m.read[m.name+"."+key] {
		return
	}
	v, ok := m.get(key)
	if !ok {
		return
	}
	x, isNumber := v.Float()
	if t, isTruth := v.Truth(); isTruth {
		if isNumber = true; t {
			x = 1
		}
	}
	if !isNumber || !slices.Contains(harmless, x) {
		m.fail(key, "is %v: configurations of %s in the Hub have no word for it", v, m.name)
	}
}

// ignore passes over keys that say nothing of what a model computes, or what its tensors say anyway.
func (m *metadata) ignore(keys ...string) {
	for _, key := range keys {
		m.read[m.name+"."+key] = true
	}
}

// unread refuses what is said of the architecture and has not been read.
func (m *metadata) unread() {
	for _, key := range m.file.Keys() {
		if rest, ours := strings.CutPrefix(key, m.name+"."); ours && !m.read[key] {
			v, _ := m.file.Value(key)
			m.fail(rest, "is %v, which weld does not know of models of %s: it might change what the model computes", v, m.name)
		}
	}
}
