package torch

import (
	"fmt"
	"slices"

	"weld/format"
	"weld/format/pickle"
)

func (s *Storage) isUntyped() bool { return slices.Contains(untyped, s.class) }

// storages makes storages of identifiers: ('storage', class, key, device, number of elements).
func storages() pickle.Call {
	known := make(map[string]*Storage)
	return func(id pickle.Tuple) (any, error) {
		if len(id) != 5 || id[0] != "storage" {
			return nil, fmt.Errorf("an identifier that is none of a storage: %s", pickle.Kind(id))
		}
		class, isClass := id[1].(pickle.Global)
		key, isKey := id[2].(string)
		device, isDevice := id[3].(string)
		elements, isNumber := id[4].(int64)
		if !isClass || !isKey || !isDevice || !isNumber || elements < 0 {
			return nil, fmt.Errorf("a storage of %s, %s, %s, %s", pickle.Kind(id[1]), pickle.Kind(id[2]), pickle.Kind(id[3]), pickle.Kind(id[4]))
		}
		s := Storage{Key: key, Elements: elements, Width: 1, Device: device, class: class}
		if !s.isUntyped() {
			name, ok := storageClasses[class.Name]
			if !ok || class.Module != "torch" && class.Module != "torch.cuda" {
				return nil, fmt.Errorf("a storage of the class %s", class)
			}
			s.DType, s.Width, _ = typeOf(name)
		}
		if _, ok := s.bytes(); !ok {
			return nil, fmt.Errorf("a storage of %d elements", elements)
		}
		first, again := known[key]
		switch {
		case !again:
			known[key] = &s
		case *first == s:
			return first, nil
		case first.Elements*first.Width != s.Elements*s.Width: // one storage may be seen as bytes and without a type
			return nil, fmt.Errorf("the storage %q is described twice, in two sizes", excerpt(key))
		}
		return &s, nil
	}
}

// bytes is the size of a storage; ok is false where it leaves 63 bits.
func (s *Storage) bytes() (n int64, ok bool) {
	return format.Elements([]int64{s.Elements, s.Width})
}
