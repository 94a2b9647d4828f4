package pickle

import (
	"errors"
	"fmt"
)

// Builtins are the names by which pickles make values of Python's own classes, with what they have been called by Python 2.
func Builtins() Vocabulary {
	v := Vocabulary{
		{"collections", "OrderedDict"}: Ordered,
		{"collections", "defaultdict"}: func(Tuple) (any, error) { return new(Dict), nil },
		{"_codecs", "encode"}:          encode,
	}
	for _, module := range []string{"builtins", "__builtin__"} {
		v[Global{module, "set"}], v[Global{module, "frozenset"}] = set, set
		v[Global{module, "bytes"}], v[Global{module, "bytearray"}] = encode, encode
		for _, name := range []string{"int", "float", "bool", "str", "list", "dict", "tuple"} { // what a defaultdict makes
			v[Global{module, name}] = nil
		}
	}
	return v
}

// set is of the items of a list.
func set(args Tuple) (any, error) {
	if len(args) == 0 {
		return new(Set), nil
	}
	l, ok := args[0].(*List)
	if !ok {
		return nil, fmt.Errorf("a set made of %s", Kind(args[0]))
	}
	return &Set{l.Items}, nil
}

// encode is bytes, which protocol 2 stores as text whose characters are bytes.
func encode(args Tuple) (any, error) {
	if len(args) == 0 {
		return []byte{}, nil
	}
	if b, ok := args[0].([]byte); ok && len(args) == 1 {
		return b, nil
	}
	s, ok := args[0].(string)
	if !ok {
		return nil, fmt.Errorf("bytes made of %s", Kind(args[0]))
	}
	b := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 0xff {
			return nil, errors.New("bytes made of text with larger characters")
		}
		b = append(b, byte(r))
	}
	return b, nil
}

// Ordered makes an OrderedDict, empty or of pairs.
func Ordered(args Tuple) (any, error) {
	d := new(Dict)
	if len(args) == 0 {
		return d, nil
	}
	var pairs []any
	switch from := args[0].(type) {
	case *Dict:
		d.Items = append(d.Items, from.Items...)
		return d, nil
	case *List:
		pairs = from.Items
	case Tuple:
		pairs = from
	default:
		return nil, fmt.Errorf("a dictionary made of %s", Kind(args[0]))
	}
	for _, p := range pairs {
		key, value, ok := pair(p)
		if !ok {
			return nil, fmt.Errorf("a dictionary with %s in the place of a key and its value", Kind(p))
		}
		d.Items = append(d.Items, Item{key, value})
	}
	return d, nil
}

// pair is a sequence of two.
func pair(p any) (key, value any, ok bool) {
	items, isTuple := p.(Tuple)
	if l, isList := p.(*List); isList {
		items, isTuple = l.Items, true
	}
	if !isTuple || len(items) != 2 {
		return nil, nil, false
	}
	return items[0], items[1], true
}
