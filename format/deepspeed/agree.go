package deepspeed

import (
	"fmt"
	"math"

	"weld/format"
	"weld/format/gather"
	"weld/format/torch"
	"weld/mmapio"
)

// sampled is how many elements of a parameter are compared.
const sampled = 64

// round is the most by which a weight may differ from the model's, as a part of itself: half a unit of bfloat16, and as much again.
const round = 1.0 / 128

// agreesInOrder holds the weights to the model's where param_slice_mappings are of another order, and param_shapes are followed.
func (r *reading) agreesInOrder(m *modelStates) error {
	return r.agree(m, "param_slice_mappings are not of the order of the partitions (round_robin_gradients), and param_shapes are followed")
}

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
