package dcp

import (
	"weld/format"
	"weld/format/pickle"
	"weld/format/torch"
)

// plant rebuilds what was saved from the paths that the planner wrote; what has none lies at the top, under its name.
func (m *metadata) plant(list *pickle.Dict, root *pickle.Object) error {
	paths := make(map[string]pickle.Tuple)
	if planned, ok := dict(root, "planner_data"); ok {
		for _, item := range planned.Items {
			name, isText := item.Key.(string)
			path, isTuple := item.Value.(pickle.Tuple)
			if isText && isTuple && len(path) > 0 {
				paths[name] = path
			}
		}
	}
	m.tree = new(pickle.Dict)
	folders := make(folders)
	for _, item := range list.Items {
		name := item.Key.(string) // as takeTensors has it
		path := paths[name]
		if path == nil {
			path = pickle.Tuple{name}
		}
		at := m.tree
		for _, key := range path[:len(path)-1] {
			if at = folders.within(at, key); at == nil {
				return m.fault(format.KindType, name, "%s in the path to it", pickle.Kind(key))
			}
		}
		at.Items = append(at.Items, pickle.Item{Key: path[len(path)-1], Value: m.leaf(name)})
	}
	return nil
}

// folder is a dictionary within another, by its key.
type folder struct {
	in  *pickle.Dict
	key any
}

type folders map[folder]*pickle.Dict

// within finds or makes a dictionary; nil if its key is neither text nor a number.
func (f folders) within(in *pickle.Dict, key any) *pickle.Dict {
	switch key.(type) {
	case string, int64:
	default:
		return nil
	}
	at := folder{in, key}
	d := f[at]
	if d == nil {
		d = new(pickle.Dict)
		f[at] = d
		in.Items = append(in.Items, pickle.Item{Key: key, Value: d})
	}
	return d
}

// leaf stands for a tensor in the tree; nil for what is none.
func (m *metadata) leaf(name string) any {
	t := m.tensors[name]
	if t == nil {
		return nil
	}
	leaf := &torch.Tensor{DType: t.dtype, Shape: t.shape}
	m.leaves[leaf] = t
	return leaf
}
