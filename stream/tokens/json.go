package tokens

import (
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"

	"weld/format"
)

// jsonValue is a range of a document that is known to be valid JSON, so that reading it
// needs no copies and no errors but of type.
type jsonValue struct {
	path       string
	doc        []byte
	start, end int
}

// parse checks a document once for all; its top is an object.
func parse(path string, doc []byte) (jsonValue, error) {
	if !utf8.Valid(doc) {
		return jsonValue{}, &format.Error{Path: path, Kind: format.KindUTF8, Detail: "not UTF-8"}
	}
	if !json.Valid(doc) {
		var any json.RawMessage
		err := json.Unmarshal(doc, &any) // says where
		return jsonValue{}, &format.Error{Path: path, Kind: format.KindJSON, Detail: "not valid JSON", Err: err}
	}
	v := jsonValue{path: path, doc: doc}
	v.start = skipSpace(doc, 0)
	v.end = skipValue(doc, v.start)
	if doc[v.start] != '{' {
		return jsonValue{}, v.fault(format.KindType, "not an object")
	}
	return v, nil
}

func (v jsonValue) raw() []byte { return v.doc[v.start:v.end] }
func (v jsonValue) null() bool  { return v.doc[v.start] == 'n' }

func (v jsonValue) fault(kind format.Kind, text string, args ...any) error {
	return &format.Error{Path: v.path, Kind: kind, Detail: fmt.Sprintf("byte %d: ", v.start) + fmt.Sprintf(text, args...)}
}

// members visits an object.
func (v jsonValue) members(what string, visit func(key string, m jsonValue) error) error {
	if v.doc[v.start] != '{' {
		return v.fault(format.KindType, "%s is not an object", what)
	}
	i := skipSpace(v.doc, v.start+1)
	for v.doc[i] != '}' {
		end := skipValue(v.doc, i)
		key := unquote(v.doc[i:end])
		m := jsonValue{path: v.path, doc: v.doc}
		m.start = skipSpace(v.doc, skipSpace(v.doc, end)+1)
		m.end = skipValue(v.doc, m.start)
		if err := visit(key, m); err != nil {
			return err
		}
		if i = skipSpace(v.doc, m.end); v.doc[i] == ',' {
			i = skipSpace(v.doc, i+1)
		}
	}
	return nil
}

// elements visits an array.
func (v jsonValue) elements(what string, visit func(k int, e jsonValue) error) error {
	if v.doc[v.start] != '[' {
		return v.fault(format.KindType, "%s is not an array", what)
	}
	i := skipSpace(v.doc, v.start+1)
	for k := 0; v.doc[i] != ']'; k++ {
		e := jsonValue{v.path, v.doc, i, skipValue(v.doc, i)}
		if err := visit(k, e); err != nil {
			return err
		}
		if i = skipSpace(v.doc, e.end); v.doc[i] == ',' {
			i = skipSpace(v.doc, i+1)
		}
	}
	return nil
}

// member finds one member; ok is false where v is no object or lacks it.
func (v jsonValue) member(name string) (found jsonValue, ok bool) {
	if v.doc[v.start] != '{' {
		return jsonValue{}, false
	}
	_ = v.members("", func(key string, m jsonValue) error {
		if key == name {
			found, ok = m, true // as most readers: the last one
		}
		return nil
	})
	return found, ok
}

func (v jsonValue) text(what string) (string, error) {
	if v.doc[v.start] != '"' {
		return "", v.fault(format.KindType, "%s is not a string", what)
	}
	return unquote(v.raw()), nil
}

func (v jsonValue) flag(what string) (bool, error) {
	switch v.doc[v.start] {
	case 't', 'f':
		return v.doc[v.start] == 't', nil
	}
	return false, v.fault(format.KindType, "%s is neither true nor false", what)
}

// maxID bounds the ids of tokens, so that no file makes tables of gigabytes.
const maxID = 1<<24 - 1

func (v jsonValue) id(what string) (int32, error) { return v.parseID(string(v.raw()), what) }

func (v jsonValue) parseID(text, what string) (int32, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, v.fault(format.KindType, "the id of %s is not a whole number", what)
	}
	if n < 0 || n > maxID {
		return 0, v.fault(format.KindOverflow, "the id of %s is %d; weld knows ids from 0 to %d", what, n, maxID)
	}
	return int32(n), nil
}

func skipSpace(doc []byte, i int) int {
	for i < len(doc) && (doc[i] == ' ' || doc[i] == '\n' || doc[i] == '\t' || doc[i] == '\r') {
		i++
	}
	return i
}

// skipValue returns the end of the value that begins at i in valid JSON.
func skipValue(doc []byte, i int) int {
	depth := 0
	for {
		switch doc[i] {
		case '"':
			i = skipString(doc, i)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		case ' ', '\n', '\t', '\r', ',', ':':
			i++
			continue
		default:
			for i < len(doc) && !delimiter(doc[i]) {
				i++
			}
		}
		if depth == 0 {
			return i
		}
	}
}

// skipString returns what follows the string that begins at i, or the end.
func skipString(doc []byte, i int) int {
	for i++; i < len(doc); i++ {
		switch doc[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(doc)
}

func delimiter(c byte) bool {
	switch c {
	case ' ', '\n', '\t', '\r', ',', ':', '}', ']', '{', '[', '"':
		return true
	}
	return false
}

// unquote decodes a valid JSON string.
func unquote(quoted []byte) string {
	for _, c := range quoted {
		if c == '\\' {
			var s string
			_ = json.Unmarshal(quoted, &s) // valid
			return s
		}
	}
	return string(quoted[1 : len(quoted)-1])
}

// jsonEdit is a replacement of a range of a document.
type jsonEdit struct {
	start, end int
	with       []byte
}

// splice carries out edits, which are in order and do not overlap.
func splice(doc []byte, edits []jsonEdit) []byte {
	n := len(doc)
	for _, e := range edits {
		n += len(e.with)
	}
	out, at := make([]byte, 0, n), 0
	for _, e := range edits {
		out = append(append(out, doc[at:e.start]...), e.with...)
		at = e.end
	}
	return append(out, doc[at:]...)
}

// appendTo is the edit that adds items to the end of an array or object.
func (v jsonValue) appendTo(items [][]byte) jsonEdit {
	last := v.end - 1 // the bracket
	at := last
	for at > v.start+1 && skipSpace(v.doc[at-1:at], 0) == 1 {
		at--
	}
	var with []byte
	for k, item := range items {
		if k > 0 || at > v.start+1 {
			with = append(with, ',')
		}
		with = append(append(with, "\n    "...), item...)
	}
	return jsonEdit{at, at, with}
}
