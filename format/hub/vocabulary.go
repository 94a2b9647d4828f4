package hub

import (
	"bytes"
	"slices"
	"strconv"
)

// SetVocabSize rewrites the vocab_size of a config.json, at its top and where it describes the language
// model, and leaves every other byte as it is. A config that has none, because the size was its
// architecture's default, gets one. What is no JSON object is left alone.
func SetVocabSize(config []byte, n int64) []byte {
	all, ok := members(config)
	if !ok {
		return config
	}
	text := strconv.AppendInt(nil, n, 10)
	var edits []textEdit
	for _, m := range vocabSizes(config, all) {
		edits = append(edits, textEdit{m.span, text})
	}
	if len(edits) == 0 {
		at := bytes.IndexByte(config, '{') + 1
		if i := slices.IndexFunc(all, func(m member) bool {
			return len(m.path) == 0 && slices.Contains(objects[Text], m.key) && config[m.start] == '{'
		}); i >= 0 {
			at = all[i].start + 1
		}
		with := append([]byte("\n  \"vocab_size\": "), text...)
		if !bytes.HasPrefix(bytes.TrimLeft(config[at:], " \t\r\n"), []byte("}")) {
			with = append(with, ',')
		}
		edits = []textEdit{{span{at, at}, with}}
	}
	return splice(config, edits)
}

// VocabSize reads what [SetVocabSize] writes; the language model's own word counts.
func VocabSize(config []byte) (n int64, ok bool) {
	all, _ := members(config)
	for _, m := range vocabSizes(config, all) {
		if k, err := strconv.ParseInt(string(config[m.start:m.end]), 10, 64); err == nil && (!ok || len(m.path) > 0) {
			n, ok = k, true
		}
	}
	return n, ok
}

// vocabSizes finds the sizes among the members of a configuration.
func vocabSizes(config []byte, all []member) (found []member) {
	for _, m := range all {
		ours := len(m.path) == 0 || len(m.path) == 1 && slices.Contains(objects[Text], m.path[0])
		if ours && m.key == "vocab_size" && digits(config[m.start:m.end]) {
			found = append(found, m)
		}
	}
	return found
}

func digits(text []byte) bool {
	return !slices.ContainsFunc(text, func(c byte) bool { return c < '0' || c > '9' })
}
