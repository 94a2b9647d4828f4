package names

import (
	"strings"

	"weld/format"
)

// Finder finds single tensors of a checkpoint by names that others have for them, whose shapes nobody knows:
// those that an adapter has for what it changes.
type Finder struct {
	tensors []format.Tensor
	find    func(name string) (int, bool)
	keys    []func(string) string
	byKey   []map[string]int // for each of keys, made when first asked
	tails   map[string]int   // common names without their first part
}

// NewFinder makes a finder for tensors; find gives the index of one by its own name.
func NewFinder(tensors []format.Tensor, find func(name string) (int, bool)) *Finder {
	keys := []func(string) string{unwrapped, bare, common}
	return &Finder{tensors: tensors, find: find, keys: keys, byKey: make([]map[string]int, len(keys))}
}

// Find returns the tensor that a name means by the first of the rules of [Meet] for single names that knows one.
// doubt lists two tensors where that rule knows several.
func (f *Finder) Find(name string) (i int, doubt []string, ok bool) {
	if i, ok = f.find(name); ok {
		return i, nil, true
	}
	for level, key := range f.keys {
		if f.byKey[level] == nil {
			f.byKey[level] = index(f.tensors, all(f.tensors), key)
		}
		if i, known := f.byKey[level][key(name)]; known {
			return f.sure(i, key, key(name))
		}
	}
	own := name
	name = common(name)
	names := f.byKey[len(f.keys)-1]
	if lead, after, cut := strings.Cut(name, "."); cut {
		if i, known := names[after]; known && (i == several || !astray(lead, f.tensors[i].Name)) {
			return f.sure(i, common, after)
		}
	}
	if f.tails == nil {
		f.tails = index(f.tensors, all(f.tensors), tail)
	}
	if i, known := f.tails[name]; known && (i == several || !astray(first(f.tensors[i].Name), own)) {
		return f.sure(i, tail, name)
	}
	return None, nil, false
}

// sure is what was found, unless it is several.
func (f *Finder) sure(i int, key func(string) string, is string) (int, []string, bool) {
	if i != several {
		return i, nil, true
	}
	return None, named(f.tensors, all(f.tensors), key, is), false
}

// first is the first part of a common name.
func first(name string) string {
	part, _, _ := strings.Cut(common(name), ".")
	return part
}

// tail is a common name without its first part.
func tail(name string) string {
	_, after, _ := strings.Cut(common(name), ".")
	return after
}

func all(tensors []format.Tensor) []int {
	list := make([]int, len(tensors))
	for i := range list {
		list[i] = i
	}
	return list
}
