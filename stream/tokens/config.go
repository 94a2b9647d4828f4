package tokens

import (
	"slices"
	"strconv"
)

// textConfigs are the members of a config.json that describe the language model of a
// larger one.
var textConfigs = []string{"text_config", "llm_config", "language_config"}

// SetVocabSize rewrites the vocab_size of a config.json, at its top and in text_config,
// and leaves every other byte as it is. A config that has none, because the size was its
// architecture's default, gets one. What is no JSON object is left alone.
func SetVocabSize(config []byte, n int64) []byte {
	p := scanConfig(config)
	text := strconv.FormatInt(n, 10)
	var edits []edit
	for _, f := range p.found {
		edits = append(edits, edit{f.start, f.end, []byte(text)})
	}
	at := p.nested
	if at == 0 {
		at = p.top
	}
	if len(edits) == 0 && at > 0 {
		with := []byte("\n  \"vocab_size\": " + text)
		if config[skipSpace(config, at)] != '}' {
			with = append(with, ',')
		}
		edits = []edit{{at, at, with}}
	}
	return splice(config, edits)
}

// vocabSize reads what SetVocabSize writes; the language model's own word counts.
func vocabSize(config []byte) (n int64, ok bool) {
	for _, f := range scanConfig(config).found {
		if k, err := strconv.ParseInt(string(config[f.start:f.end]), 10, 64); err == nil && (!ok || f.nested) {
			n, ok = k, true
		}
	}
	return n, ok
}

type configPlaces struct {
	found  []place
	top    int // what follows the first brace; 0 for no sound object
	nested int // the same of a text_config
}

type place struct {
	start, end int
	nested     bool
}

// scanConfig finds vocabulary sizes without parsing, because Python writes what is no
// JSON (Infinity), and because every other byte has to stay.
func scanConfig(doc []byte) (p configPlaces) {
	type frame struct {
		object, key bool // a key comes next
		name        string
	}
	var open []frame
	top, complete := 0, false
	for i := 0; i < len(doc); {
		switch c := doc[i]; c {
		case '{', '[':
			if len(open) == 0 {
				if c == '[' || top > 0 {
					return configPlaces{}
				}
				top = i + 1
			}
			if c == '{' && len(open) == 1 && slices.Contains(textConfigs, open[0].name) && p.nested == 0 {
				p.nested = i + 1
			}
			open = append(open, frame{object: c == '{', key: c == '{'})
			i++
		case '}', ']':
			if len(open) == 0 || open[len(open)-1].object != (c == '}') {
				return configPlaces{}
			}
			open = open[:len(open)-1]
			complete = len(open) == 0
			i++
		case ',':
			if len(open) > 0 {
				open[len(open)-1] = frame{object: open[len(open)-1].object, key: open[len(open)-1].object}
			}
			i++
		case '"':
			end := skipString(doc, i)
			if len(open) > 0 && open[len(open)-1].key {
				if end-1 > i {
					open[len(open)-1].name = string(doc[i+1 : end-1])
				}
				open[len(open)-1].key = false
			}
			i = end
		case ' ', '\n', '\t', '\r', ':':
			i++
		default:
			end := i + 1
			for end < len(doc) && !delimiter(doc[end]) {
				end++
			}
			depth := len(open)
			if depth > 0 && open[depth-1].key {
				return configPlaces{}
			}
			if depth > 0 && open[depth-1].object && open[depth-1].name == "vocab_size" && digits(doc[i:end]) &&
				(depth == 1 || depth == 2 && slices.Contains(textConfigs, open[0].name)) {
				p.found = append(p.found, place{i, end, depth == 2})
				open[depth-1].name = ""
			}
			i = end
		}
	}
	if !complete {
		return configPlaces{}
	}
	p.top = top
	return p
}

func digits(text []byte) bool {
	return !slices.ContainsFunc(text, func(c byte) bool { return c < '0' || c > '9' })
}
