package torch

import "weld/format/pickle"

// Optimizer finds what torch.optim.Optimizer.state_dict returned: at a key, as [Saved.State] has them, or without one the value itself, or the only
// one among the values of a dictionary. within is the key that leads to it.
func Optimizer(value any, key string) (found *pickle.Dict, within string, ok bool) {
	if key != "" && key != Whole {
		value, ok = descend(value, key, 0)
		if !ok {
			return nil, "", false
		}
	}
	d, isDict := value.(*pickle.Dict)
	switch {
	case !isDict:
		return nil, "", false
	case isOptimizer(d):
		return d, key, true
	case key != "":
		return nil, "", false
	}
	for _, item := range d.Items {
		name, named := item.Key.(string)
		inner, isDict := item.Value.(*pickle.Dict)
		if !named || !isDict || !isOptimizer(inner) {
			continue
		}
		if found != nil {
			return nil, "", false
		}
		found, within = inner, name
	}
	return found, within, found != nil
}

// SecondBeta is β₂ of one of an optimizer's param_groups: the second of its betas; 0 where it has none.
func SecondBeta(group *pickle.Dict) float64 {
	v, _ := group.Get("betas")
	betas, _ := pickle.Sequence(v)
	if len(betas) < 2 {
		return 0
	}
	if beta, _ := betas[1].(float64); beta > 0 && beta < 1 {
		return beta
	}
	return 0
}
