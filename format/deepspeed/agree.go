package deepspeed

import (
	"fmt"
	"math"

	"weld/format"
	"weld/format/gather"
	"weld/format/pickle"
	"weld/format/torch"
	"weld/mmapio"
)

// sampled is how many elements of a parameter are compared.
const sampled = 64

// round is the most by which a weight may differ from the model's, as a part of itself: half a unit of bfloat16, and as much again.
const round = 1.0 / 128

// agree demands that the weights under some names are the model's, but for rounding, as far as their first elements tell. It is asked where files are
// known to give parameters each other's names.
func (r *reading) agree(m *modelStates, why string) error {
	if m.module == nil {
		return m.fault(format.KindKey, "", "%s, and there is no module in it by which the names can be checked", why)
	}
	for _, item := range m.module.Items {
		name, _ := item.Key.(string)
		i, found := r.placed[name]
		t, isTensor := item.Value.(*torch.Tensor)
		if !found || !isTensor {
			continue
		}
		if err := r.same(m, r.list[i], torch.Named{Name: name, Tensor: t}, why); err != nil {
			return err
		}
	}
	return nil
}

// same compares the first elements of a weight with the model's.
func (r *reading) same(m *modelStates, weight torch.Placed, of torch.Named, why string) error {
	model, err := m.Placed(of, m.source)
	if err != nil {
		return err
	}
	if !weight.Computable() || !model.Computable() {
		return nil
	}
	a, err := r.first(weight)
	if err != nil {
		return err
	}
	b, err := r.first(model)
	if err != nil {
		return err
	}
	for k := range min(len(a), len(b)) {
		if diff := math.Abs(a[k] - b[k]); diff > round*math.Abs(a[k])+1e-6 || len(a) != len(b) {
			return m.fault(format.KindNames, of.Name, "%s: element %d of its weight is %g, and %g in the model, so that they are not of one parameter", why, k, a[k], b[k])
		}
	}
	return nil
}

// first reads the first elements of a tensor.
func (r *reading) first(t torch.Placed) ([]float64, error) {
	list := make([]float64, min(t.Elements(), sampled))
	if len(list) == 0 {
		return nil, nil
	}
	bytes := int64(len(list)) * t.DType.Align()
	if t.Layout != nil {
		data := make([]byte, bytes)
		if err := t.Layout.Read(data, 0, func(i int) gather.Source { return r.sources[i] }); err != nil {
			return nil, fmt.Errorf("%s: tensor %q: %w", r.dir.Path(), excerpt(t.Name), err)
		}
		format.Decode(t.DType, list, data)
		return list, nil
	}
	view, err := r.sources[t.Source].Read(t.Begin, bytes)
	if err != nil {
		return nil, err
	}
	defer view.Release()
	return list, mmapio.Guard([]mmapio.View{view}, func() error {
		format.Decode(t.DType, list, view.Data)
		return nil
	})
}

// number is a value that is a number or a tensor of one; ok is false for any other.
func (r *reading) number(s *saved, v any) (x float64, ok bool, err error) {
	switch v := v.(type) {
	case int64:
		return float64(v), true, nil
	case float64:
		return v, true, nil
	case *torch.Tensor:
		t, err := s.Placed(torch.Named{Name: "step", Tensor: v}, s.source)
		if err != nil || t.Elements() != 1 || !t.Computable() {
			return 0, false, err
		}
		list, err := r.first(t)
		if err != nil {
			return 0, false, err
		}
		return list[0], true, nil
	}
	return 0, false, nil
}

// beta2 is the second of a group's betas; 0 where it has none.
func beta2(group *pickle.Dict) float64 {
	v, _ := group.Get("betas")
	var items []any
	switch v := v.(type) {
	case pickle.Tuple:
		items = v
	case *pickle.List:
		items = v.Items
	}
	if len(items) != 2 {
		return 0
	}
	if beta, _ := items[1].(float64); beta > 0 && beta < 1 {
		return beta
	}
	return 0
}
