package deepspeed

import (
	"strconv"

	"weld/format"
	"weld/format/pickle"
	"weld/format/torch"
)

// The kinds that are looked for: the first that is there.
var kinds = []string{"exp_avg_sq", "exp_avg", "momentum_buffer"}

// unlike are keys of states whose exp_avg_sq are no second moments of parameters, or none by themselves.
var unlike = []struct{ key, what string }{
	{"qmap2", "8-bit codes of bitsandbytes, in blocks that do not end where parameters do"},
	{"exp_avg_diff", "second moments of gradients and their differences, as Adan does"},
	{"GG", "second moments in another basis, as SOAP does"}, {"Q", "second moments in another basis, as SOAP does"},
}

// group is what an optimizer keeps of a group of parameters, at one rank.
type group struct {
	kind  string
	row   flat
	step  float64 // unsaid where the files do not say
	beta2 float64
}

func (g group) String() string {
	if g.kind == "" {
		return "nothing that weld knows"
	}
	return g.kind + " in " + g.row.dtype.String()
}

// unsaid is no number of steps.
const unsaid = -1

// groups reads what an optimizer keeps of each group, at one rank.
func (o *optimizer) groups(s *shard, stage int64) ([]group, error) {
	key := "base_optimizer_state"
	if stage == 3 {
		key = "optimizer_state_dict"
	}
	v, _ := s.state.Get(key)
	list := make([]group, len(s.flats))
	states, betas := make([]*pickle.Dict, len(s.flats)), make([]float64, len(s.flats))
	switch v := v.(type) {
	case *pickle.List: // of an elastic checkpoint: a state for each group
		for g := range min(len(states), len(v.Items)) {
			states[g], _ = v.Items[g].(*pickle.Dict)
		}
	case *pickle.Dict:
		var err error
		if states, betas, err = s.states(v, len(s.flats)); err != nil {
			return nil, err
		}
	default:
		return nil, s.fault(format.KindKey, "", "%s is %s, where the states of the optimizer are", key, pickle.Kind(v))
	}
	common, _ := s.state.Get("base_optimizer_state_step")
	for g, state := range states {
		if state == nil {
			continue
		}
		x := &list[g]
		x.beta2 = betas[g]
		for _, u := range unlike {
			if _, ok := state.Get(u.key); ok {
				return nil, s.fault(format.KindUnsupported, "", "its optimizer keeps %s (%s)", u.what, u.key)
			}
		}
		for _, kind := range kinds {
			t, ok := lookup(state, kind)
			if !ok {
				continue
			}
			var err error
			if x.row, err = s.row(kind, t); err != nil {
				return nil, err
			}
			x.kind = kind
			break
		}
		step, _ := state.Get("step")
		if step == nil {
			step = common
		}
		n, said, err := o.number(s.saved, step)
		if err != nil {
			return nil, err
		}
		if x.step = unsaid; said {
			x.step = n
		}
	}
	return list, nil
}

// states are the states and second betas of groups, in what torch.optim.Optimizer.state_dict returned: each partition is a parameter there.
func (s *shard) states(optimizer *pickle.Dict, count int) ([]*pickle.Dict, []float64, error) {
	states, betas := make([]*pickle.Dict, count), make([]float64, count)
	state, err := demand[*pickle.Dict](s.saved, optimizer, "state")
	if err != nil {
		return nil, nil, err
	}
	for _, item := range state.Items {
		n, isNumber := item.Key.(int64)
		if text, isText := item.Key.(string); isText {
			k, err := strconv.Atoi(text)
			n, isNumber = int64(k), err == nil
		}
		d, isDict := item.Value.(*pickle.Dict)
		if !isNumber || !isDict || n < 0 || n >= int64(count) {
			return nil, nil, s.fault(format.KindIndex, "", "the state of the optimizer has %s for %s, and %d groups are there", pickle.Kind(item.Value), pickle.Kind(item.Key), count)
		}
		states[n] = d
	}
	groups, _, err := get[*pickle.List](s.saved, optimizer, "param_groups")
	if err != nil || groups == nil {
		return states, betas, err
	}
	for _, item := range groups.Items {
		d, ok := item.(*pickle.Dict)
		if !ok {
			return nil, nil, s.fault(format.KindType, "", "%s in param_groups", pickle.Kind(item))
		}
		params, _ := d.Get("params")
		ids, err := torch.Sizes(params)
		if err != nil {
			return nil, nil, s.fault(format.KindType, "", "params of param_groups: %v", err)
		}
		for _, id := range ids {
			if id >= int64(count) {
				return nil, nil, s.fault(format.KindIndex, "", "param_groups have the number %d, and %d groups are there", id, count)
			}
			betas[id] = torch.SecondBeta(d)
			if step, ok := d.Get("step"); ok && states[id] != nil {
				if _, own := states[id].Get("step"); !own { // as the fused optimizers have it
					states[id].Items = append(states[id].Items, pickle.Item{Key: "step", Value: step})
				}
			}
		}
	}
	return states, betas, nil
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
