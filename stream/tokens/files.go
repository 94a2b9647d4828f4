package tokens

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"weld/format"
	"weld/format/hub"
)

// maxTemplate is the most bytes that a template may have.
const maxTemplate = 8 << 20

// readFiles reads the tokenizer files of a model.
func readFiles(dir format.Folder) (map[string][]byte, error) {
	names := tokenizerFiles
	more, err := fs.ReadDir(dir, templatesDir)
	if err == nil {
		names = append([]string(nil), names...)
		for _, e := range more {
			if strings.HasSuffix(e.Name(), ".jinja") {
				names = append(names, templatesDir+"/"+e.Name())
			}
		}
	}
	files := make(map[string][]byte)
	for _, name := range names {
		raw, err := dir.Read(name, hub.MaxSidecar)
		if err != nil {
			return nil, err
		}
		if raw != nil {
			files[name] = raw
		}
	}
	return files, nil
}

// reload parses files that were changed.
func reload(dir format.Folder, files map[string][]byte) (*tokenizer, error) {
	extra, err := parseExtra(dir, files[configName], files[addedName])
	if err != nil {
		return nil, err
	}
	t, err := parseTokenizer(dir.Join(tokenizerName), files[tokenizerName], extra)
	if t != nil {
		t.dir = dir
	}
	return t, err
}

// strip takes the tokens out of the files that have no row: those from limit on.
func strip(t *tokenizer, files map[string][]byte, limit int32) (*tokenizer, error) {
	gone := func(token string) bool { id, ok := t.ids[token]; return ok && id >= limit }
	top, err := parse(t.dir.Join(tokenizerName), files[tokenizerName])
	if err != nil {
		return nil, err
	}
	var edits []jsonEdit
	err = top.members("", func(key string, m jsonValue) error {
		switch key {
		case "added_tokens":
			if m.null() {
				return nil
			}
			e, err := m.filter(func(_ int, _ string, e jsonValue) (bool, error) {
				a, _, err := parseAdded(e, true)
				return !gone(a.Content), err
			})
			edits = append(edits, e)
			return err
		case "model":
			return m.members("model", func(key string, m jsonValue) error {
				if key != "vocab" && key != "merges" || m.null() {
					return nil
				}
				keep := func(k int, token string, _ jsonValue) (bool, error) { return !gone(token), nil }
				if key == "merges" {
					keep = func(_ int, _ string, e jsonValue) (bool, error) { return keepMerge(e, gone) }
				} else if m.doc[m.start] == '[' {
					keep = func(k int, _ string, _ jsonValue) (bool, error) { return k < int(limit), nil }
				}
				e, err := m.filter(keep)
				edits = append(edits, e)
				return err
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	before := t.model
	files[tokenizerName] = splice(top.doc, edits)
	if err := stripLists(t.dir, files, gone); err != nil {
		return nil, err
	}
	stripped, err := reload(t.dir, files)
	if err != nil {
		return nil, err
	}
	if stripped.model != before {
		for _, name := range foreign { // they still have the tokens
			delete(files, name)
		}
	}
	for token, id := range t.ids {
		if now, ok := stripped.ids[token]; ok != (id < limit) || ok && now != id {
			return nil, &format.Error{Path: top.path, Kind: format.KindUnsupported, Detail: fmt.Sprintf(
				"the tokens from id %d on have no row, and without them token %q would not keep its id %d", limit, clip(token), id)}
		}
	}
	return stripped, nil
}

// stripLists takes tokens out of the files that list added tokens.
func stripLists(dir format.Folder, files map[string][]byte, gone func(string) bool) error {
	if config := files[configName]; config != nil {
		top, err := parse(dir.Join(configName), config)
		if err != nil {
			return err
		}
		if list, ok := top.member("added_tokens_decoder"); ok && !list.null() {
			e, err := list.filter(func(_ int, _ string, e jsonValue) (bool, error) {
				a, _, err := parseAdded(e, false)
				return !gone(a.Content), err
			})
			if err != nil {
				return err
			}
			files[configName] = splice(config, []jsonEdit{e})
		}
	}
	if raw := files[addedName]; raw != nil {
		top, err := parse(dir.Join(addedName), raw)
		if err != nil {
			return err
		}
		e, err := top.filter(func(_ int, token string, _ jsonValue) (bool, error) { return !gone(token), nil })
		if err != nil {
			return err
		}
		files[addedName] = splice(raw, []jsonEdit{e})
	}
	return nil
}

// keepMerge reports whether both parts of a merge, and what they make, remain.
func keepMerge(e jsonValue, gone func(string) bool) (bool, error) {
	var parts []string
	if e.doc[e.start] == '"' {
		parts = strings.Split(unquote(e.raw()), " ")
	} else if err := e.elements("a merge", func(_ int, e jsonValue) error {
		part, err := e.text("a part of a merge")
		parts = append(parts, part)
		return err
	}); err != nil {
		return false, err
	}
	if len(parts) != 2 {
		return false, e.fault(format.KindType, "a merge has %d parts", len(parts))
	}
	return !gone(parts[0]) && !gone(parts[1]) && !gone(parts[0]+parts[1]), nil
}

// filter is the edit that leaves some members of an object, or elements of an array, out.
func (v jsonValue) filter(keep func(k int, key string, e jsonValue) (bool, error)) (jsonEdit, error) {
	opening := v.doc[v.start]
	with := []byte{opening}
	visit := func(k int, key string, e jsonValue) error {
		ok, err := keep(k, key, e)
		if !ok || err != nil {
			return err
		}
		if len(with) > 1 {
			with = append(with, ',')
		}
		with = append(with, "\n"...)
		if opening == '{' {
			with = append(append(with, marshal(key)...), ": "...)
		}
		with = append(with, e.raw()...)
		return nil
	}
	var err error
	if opening == '{' {
		k := -1
		err = v.members("", func(key string, m jsonValue) error { k++; return visit(k, key, m) })
	} else {
		err = v.elements("the list", func(k int, e jsonValue) error { return visit(k, "", e) })
	}
	return jsonEdit{v.start, v.end, append(with, opening+2)}, err // ] and } are two after [ and {
}

// extend writes the added tokens of t into the files that lack them.
func extend(t *tokenizer, files map[string][]byte) error {
	path := t.dir.Join(tokenizerName)
	top, err := parse(path, files[tokenizerName])
	if err != nil {
		return err
	}
	numbered := func(a addedToken) []byte {
		id := strconv.Itoa(int(t.ids[a.Content]))
		return append([]byte(`{"id":`+id+`,`), marshal(a)[1:]...)
	}
	present := make(map[string]bool)
	list, ok := top.member("added_tokens")
	if ok && !list.null() {
		err := list.elements("added_tokens", func(_ int, e jsonValue) error {
			a, _, err := parseAdded(e, true)
			present[a.Content] = true
			return err
		})
		if err != nil {
			return err
		}
	}
	items := t.lacking(present, numbered)
	e := jsonEdit{}
	switch {
	case !ok:
		e = jsonValue{path, top.doc, top.start, top.end}.prepend("added_tokens", items)
	case list.null():
		e = jsonEdit{list.start, list.end, listOf(items)}
	default:
		e = list.appendTo(items)
	}
	files[tokenizerName] = splice(top.doc, []jsonEdit{e})
	return extendLists(t, files)
}

// extendLists does the same for the files that list added tokens, if they are there.
func extendLists(t *tokenizer, files map[string][]byte) error {
	id := func(a addedToken) string { return strconv.Itoa(int(t.ids[a.Content])) }
	if config := files[configName]; config != nil {
		top, err := parse(t.dir.Join(configName), config)
		if err != nil {
			return err
		}
		if list, ok := top.member("added_tokens_decoder"); ok && !list.null() {
			present := make(map[string]bool)
			err := list.members("", func(_ string, m jsonValue) error {
				a, _, err := parseAdded(m, false)
				present[a.Content] = true
				return err
			})
			if err != nil {
				return err
			}
			items := t.lacking(present, func(a addedToken) []byte { return append([]byte(`"`+id(a)+`": `), marshal(a)...) })
			files[configName] = splice(config, []jsonEdit{list.appendTo(items)})
		}
	}
	if raw := files[addedName]; raw != nil {
		top, err := parse(t.dir.Join(addedName), raw)
		if err != nil {
			return err
		}
		present := make(map[string]bool)
		_ = top.members("", func(key string, _ jsonValue) error { present[key] = true; return nil })
		items := t.lacking(present, func(a addedToken) []byte { return append(marshal(a.Content), ": "+id(a)...) })
		files[addedName] = splice(raw, []jsonEdit{top.appendTo(items)})
	}
	return nil
}

// lacking renders the added tokens that are not present.
func (t *tokenizer) lacking(present map[string]bool, render func(addedToken) []byte) (items [][]byte) {
	for _, a := range t.added {
		if !present[a.Content] {
			items = append(items, render(a))
		}
	}
	return items
}

// prepend is the edit that puts a list in front of an object's members.
func (v jsonValue) prepend(name string, items [][]byte) jsonEdit {
	with := append(append(marshal(name), ": "...), listOf(items)...)
	if v.doc[skipSpace(v.doc, v.start+1)] != '}' {
		with = append(with, ", "...)
	}
	return jsonEdit{v.start + 1, v.start + 1, with}
}

func listOf(items [][]byte) []byte {
	list := jsonValue{doc: []byte("[]"), end: 2}
	return splice(list.doc, []jsonEdit{list.appendTo(items)})
}
