package deepspeed

import (
	"fmt"
	"slices"

	"weld/format"
	"weld/format/pickle"
	"weld/format/torch"
)

// saved is one file of a checkpoint.
type saved struct {
	*torch.Saved
	path   string
	source int // its number
}

func (s *saved) fault(kind format.Kind, tensor, text string, args ...any) error {
	return &format.Error{Path: s.path, Tensor: tensor, Kind: kind, Detail: fmt.Sprintf(text, args...)}
}

// root is the dictionary that a file is.
func (s *saved) root() (*pickle.Dict, error) {
	d, ok := s.Value.(*pickle.Dict)
	if !ok {
		return nil, s.fault(format.KindType, "", "%s, where DeepSpeed saves a dictionary", pickle.Kind(s.Value))
	}
	return d, nil
}

// get is what a dictionary has under a key, of a type; ok is false where it is absent or None.
func get[T any](s *saved, d *pickle.Dict, key string) (value T, ok bool, err error) {
	v, _ := d.Get(key)
	if v == nil {
		return value, false, nil
	}
	if value, ok = v.(T); !ok {
		return value, false, s.fault(format.KindType, "", "%s is %s", key, pickle.Kind(v))
	}
	return value, true, nil
}

// demand is get for what has to be there.
func demand[T any](s *saved, d *pickle.Dict, key string) (T, error) {
	value, ok, err := get[T](s, d, key)
	if err == nil && !ok {
		err = s.fault(format.KindKey, "", "there is no %s in it", key)
	}
	return value, err
}

// shaped is a parameter by its name and shape.
type shaped struct {
	name  string
	shape []int64
	size  int64 // number of elements
}

// modelStates is what a file of model states says.
type modelStates struct {
	*saved
	groups    [][]shaped // parameters that are trained, in the order of partitions; nil without ZeRO
	buffers   []string
	frozen    []shaped
	fragments *pickle.Dict // of frozen parameters, by their names
	shared    []pickle.Item
	module    *pickle.Dict // nil where it is not there
	steps     int64
	robin     bool // gradients went round the ranks (round_robin_gradients)
	misled    bool // so that param_slice_mappings are not of the order of the partitions
}

// models reads what a file of model states says.
func models(s *saved) (*modelStates, error) {
	m := &modelStates{saved: s}
	root, err := s.root()
	if err != nil {
		return nil, err
	}
	if err := m.plain(root); err != nil {
		return nil, err
	}
	groups, zero, err := get[*pickle.List](s, root, "param_shapes")
	if err != nil {
		return nil, err
	}
	if zero {
		m.groups = [][]shaped{}
		for _, item := range groups.Items {
			d, ok := item.(*pickle.Dict)
			if !ok {
				return nil, s.fault(format.KindType, "", "param_shapes have %s for a group", pickle.Kind(item))
			}
			list, err := m.shapes(d)
			if err != nil {
				return nil, err
			}
			m.groups = append(m.groups, list)
		}
	}
	return m, m.rest(root)
}

// plain refuses models that are divided in other ways than by ZeRO.
func (m *modelStates) plain(root *pickle.Dict) error {
	for _, key := range []string{"ds_autoep_layers", "autoep_layers"} {
		if v, _ := root.Get(key); v != nil {
			return m.fault(format.KindUnsupported, "", "experts are divided over ranks (%s), which weld does not put together: load the checkpoint in its training, and save the model's state_dict", key)
		}
	}
	parts := int64(1)
	if n, ok, err := get[int64](m.saved, root, "mp_world_size"); err != nil {
		return err
	} else if ok {
		parts = n
	}
	if d, ok, err := get[*pickle.Dict](m.saved, root, "checkpoint_parallel_dimensions"); err != nil {
		return err
	} else if ok {
		for _, item := range d.Items {
			if n, isNumber := item.Value.(int64); isNumber {
				parts = max(parts, n)
			}
		}
	}
	if parts > 1 {
		return m.fault(format.KindUnsupported, "", "the model is divided into %d parts, by tensor or pipeline parallelism, and weld reads those of which each rank has the whole; ds_to_universal of DeepSpeed puts them together", parts)
	}
	return nil
}

// rest reads what is beside the parameters that are trained.
func (m *modelStates) rest(root *pickle.Dict) (err error) {
	if m.module, _, err = get[*pickle.Dict](m.saved, root, "module"); err != nil {
		return err
	}
	if m.steps, _, err = get[int64](m.saved, root, "global_steps"); err != nil {
		return err
	}
	if config, ok, _ := get[*pickle.Dict](m.saved, root, "ds_config"); ok {
		if zero, ok, _ := get[*pickle.Dict](m.saved, config, "zero_optimization"); ok {
			v, _ := zero.Get("round_robin_gradients")
			m.robin = v == true
		}
	}
	buffers, _, err := get[*pickle.List](m.saved, root, "buffer_names")
	if err != nil {
		return err
	}
	if buffers != nil {
		for _, item := range buffers.Items {
			name, ok := item.(string)
			if !ok {
				return m.fault(format.KindType, "", "%s in buffer_names", pickle.Kind(item))
			}
			m.buffers = append(m.buffers, name)
		}
	}
	shared, _, err := get[*pickle.Dict](m.saved, root, "shared_params")
	if err != nil {
		return err
	}
	if shared != nil {
		m.shared = shared.Items
	}
	for _, item := range m.shared {
		_, named := item.Key.(string)
		if _, of := item.Value.(string); !named || !of {
			return m.fault(format.KindType, "", "%s for %s in shared_params", pickle.Kind(item.Value), pickle.Kind(item.Key))
		}
	}
	frozen, some, err := get[*pickle.Dict](m.saved, root, "frozen_param_shapes")
	if err != nil || !some {
		return err
	}
	if m.frozen, err = m.shapes(frozen); err != nil || len(m.frozen) == 0 {
		return err
	}
	m.fragments, err = demand[*pickle.Dict](m.saved, root, "frozen_param_fragments")
	return err
}

// shapes are the parameters of a dictionary of names and shapes.
func (m *modelStates) shapes(d *pickle.Dict) ([]shaped, error) {
	list := make([]shaped, 0, len(d.Items))
	for _, item := range d.Items {
		name, ok := item.Key.(string)
		if !ok {
			return nil, m.fault(format.KindType, "", "%s as the name of a parameter", pickle.Kind(item.Key))
		}
		shape, err := torch.Sizes(item.Value)
		if err != nil {
			return nil, m.fault(format.KindShape, name, "%v", err)
		}
		size, fits := format.Elements(shape)
		if !fits || len(shape) > format.MaxRank {
			return nil, m.fault(format.KindShape, name, "a shape of %d dimensions that weld does not read, %v", len(shape), shape[:min(len(shape), format.MaxRank)])
		}
		list = append(list, shaped{name, shape, size})
	}
	return list, nil
}

// agrees demands that two ranks are of one checkpoint.
func (m *modelStates) agrees(first *modelStates) error {
	same := func(a, b shaped) bool { return a.name == b.name && slices.Equal(a.shape, b.shape) }
	switch {
	case m.steps != first.steps:
		return m.fault(format.KindIndex, "", "it is of step %d, and that of rank 0 of step %d", m.steps, first.steps)
	case !slices.EqualFunc(m.groups, first.groups, func(a, b []shaped) bool { return slices.EqualFunc(a, b, same) }), !slices.EqualFunc(m.frozen, first.frozen, same):
		return m.fault(format.KindIndex, "", "its parameters are not those of rank 0")
	}
	return nil
}
