package hub

// span is a range of a document.
type span struct{ start, end int }

// member is one member of an object of a config.json, however deep.
type member struct {
	path []string // keys of the objects around its own
	key  string   // as it is written
	span          // of the value
}

// maxDepth is deeper than any configuration.
const maxDepth = 64

// members lists the members of a config.json; ok is false if it is no sound object. It is no parser,
// because Python writes what is no JSON (Infinity), and because every other byte has to stay.
func members(doc []byte) (all []member, ok bool) {
	w := walker{doc: doc}
	w.space()
	if w.at == len(doc) || doc[w.at] != '{' || !w.value(nil, 0) {
		return nil, false
	}
	if w.space(); w.at != len(doc) {
		return nil, false
	}
	return w.found, true
}

// IsObject reports whether a document is one sound object, as a configuration is. What Python writes beyond JSON (NaN, Infinity) is sound.
func IsObject(doc []byte) bool {
	_, ok := members(doc)
	return ok
}

// entries lists the values of an array.
func entries(doc []byte, list span) (all []span, ok bool) {
	w := walker{doc: doc[:list.end], at: list.start}
	if w.at == list.end || doc[w.at] != '[' {
		return nil, false
	}
	ok = w.series(']', func() bool {
		start := w.at
		if !w.value(nil, 0) {
			return false
		}
		all = append(all, span{start, w.at})
		return true
	})
	return all, ok
}

type walker struct {
	doc   []byte
	at    int
	found []member
}

func (w *walker) space() {
	for w.at < len(w.doc) && (w.doc[w.at] == ' ' || w.doc[w.at] == '\n' || w.doc[w.at] == '\t' || w.doc[w.at] == '\r') {
		w.at++
	}
}

// value passes over the value that begins here.
func (w *walker) value(path []string, depth int) bool {
	if w.at == len(w.doc) || depth > maxDepth {
		return false
	}
	switch w.doc[w.at] {
	case '{':
		return w.series('}', func() bool { return w.member(path, depth) })
	case '[':
		return w.series(']', func() bool { return w.value(append(path[:len(path):len(path)], "[]"), depth+1) })
	case '"':
		return w.text()
	}
	start := w.at
	for w.at < len(w.doc) && !delimits(w.doc[w.at]) {
		w.at++
	}
	return w.at > start
}

// member passes over a key and its value, and keeps them.
func (w *walker) member(path []string, depth int) bool {
	start := w.at
	if w.doc[w.at] != '"' || !w.text() {
		return false
	}
	key := string(w.doc[start+1 : w.at-1])
	if w.space(); w.at == len(w.doc) || w.doc[w.at] != ':' {
		return false
	}
	w.at++
	w.space()
	m := member{path: path, key: key, span: span{start: w.at}}
	if !w.value(append(path[:len(path):len(path)], key), depth+1) {
		return false
	}
	m.end = w.at
	w.found = append(w.found, m)
	return true
}

// series passes over a bracket, items between commas, and the closing bracket.
func (w *walker) series(closing byte, item func() bool) bool {
	w.at++
	for first := true; ; first = false {
		w.space()
		switch {
		case w.at == len(w.doc):
			return false
		case w.doc[w.at] == closing:
			w.at++
			return true
		case !first && w.doc[w.at] != ',':
			return false
		case !first:
			w.at++
			w.space()
		}
		if w.at == len(w.doc) || !item() {
			return false
		}
	}
}

// text passes over a string.
func (w *walker) text() bool {
	for w.at++; w.at < len(w.doc); w.at++ {
		switch w.doc[w.at] {
		case '\\':
			w.at++
		case '"':
			w.at++
			return true
		}
	}
	return false
}

func delimits(c byte) bool {
	switch c {
	case ' ', '\n', '\t', '\r', ',', ':', '}', ']', '{', '[', '"':
		return true
	}
	return false
}
