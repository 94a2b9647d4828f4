package lora

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"

	"weld/format"
)

// patterns give some modules a value of their own; the first that matches decides.
type patterns []pattern

type pattern struct {
	name  string
	match *regexp.Regexp
	value float64
}

// find follows PEFT's get_pattern_key: a key is a regular expression for the end of a
// module's name, begun at a dot; one that matches nothing may still be the exact name.
func (p patterns) find(module string, otherwise float64) float64 {
	for _, one := range p {
		if one.match.MatchString(module) {
			return one.value
		}
	}
	for _, one := range p {
		if one.name == module {
			return one.value
		}
	}
	return otherwise
}

// patterns reads an object in the order of its members, in which PEFT tries them.
func (f *configFields) patterns(key string, read func(string) (float64, string)) (list patterns) {
	raw, given := f.members[key]
	if !given || string(raw) == "null" {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		f.fail(format.KindType, "%s is no object: %s", key, f.shown(key))
		return nil
	}
	places := make(map[string]int)
	for d.More() {
		token, err := d.Token()
		name, ok := token.(string)
		var value json.RawMessage
		if err != nil || !ok || d.Decode(&value) != nil {
			f.fail(format.KindJSON, "%s cannot be read", key)
			return nil
		}
		one := f.pattern(key, name, string(value), read)
		if f.err != nil {
			return nil
		}
		if at, twice := places[name]; twice { // as in Python: the first place, the last value
			list[at].value = one.value
			continue
		}
		places[name] = len(list)
		list = append(list, one)
	}
	return list
}

func (f *configFields) pattern(key, name, value string, read func(string) (float64, string)) pattern {
	x, wrong := read(value)
	if wrong != "" {
		f.fail(format.KindType, "%s of %q is %s: %s", key, clip(name), wrong, clip(value))
		return pattern{}
	}
	return pattern{name: name, match: f.expression(key+" of "+strconv.Quote(clip(name)), `^(?:.*\.)?(?:`+name+`)$`), value: x}
}
