package moments

import (
	"strconv"

	"weld/format/pickle"
	"weld/format/torch"
)

// group is one of an optimizer's groups of parameters.
type group struct {
	keys    []string // of parameters: numbers or names
	names   []string // of the same parameters, where the optimizer was given them (torch 2.6 and newer); else nil
	decay   float64  // of means at each step: β₂, or what it is called elsewhere; 0 where the group does not say
	initial float64  // with which sums begin
	rising  bool     // the decay begins at 0 and rises, as Adafactor's does
}

// groupsOf are the groups of what torch.optim.Optimizer.state_dict returned; nil where they are not as torch writes them.
func groupsOf(optimizer *pickle.Dict) (list []group) {
	value, _ := optimizer.Get("param_groups")
	groups, ok := value.(*pickle.List)
	if !ok {
		return nil
	}
	for _, item := range groups.Items {
		d, ok := item.(*pickle.Dict)
		if !ok {
			return nil
		}
		var g group
		params, _ := d.Get("params")
		ids, ok := params.(*pickle.List)
		if !ok {
			return nil
		}
		for _, id := range ids.Items {
			switch id := id.(type) {
			case int64:
				g.keys = append(g.keys, strconv.FormatInt(id, 10))
			case string:
				g.keys = append(g.keys, id)
			default:
				return nil
			}
		}
		if names, ok := d.Get("param_names"); ok {
			if texts, ok := names.(*pickle.List); ok && len(texts.Items) == len(g.keys) {
				for _, text := range texts.Items {
					if text, ok := text.(string); ok {
						g.names = append(g.names, text)
					}
				}
			}
		}
		if len(g.names) != len(g.keys) {
			g.names = nil
		}
		g.terms(d)
		list = append(list, g)
	}
	return list
}

// stepsOf are the steps of parameters, where they are numbers of Python.
func stepsOf(optimizer *pickle.Dict) map[string]float64 {
	value, _ := optimizer.Get("state")
	state, ok := value.(*pickle.Dict)
	if !ok {
		return nil
	}
	steps := make(map[string]float64)
	for _, item := range state.Items {
		of, ok := item.Value.(*pickle.Dict)
		if !ok {
			continue
		}
		step, _ := of.Get("step")
		key, isNumber := item.Key.(int64)
		name, isText := item.Key.(string)
		if isNumber {
			name = strconv.FormatInt(key, 10)
		}
		switch n := step.(type) {
		case int64:
			if isNumber || isText {
				steps[name] = float64(n)
			}
		case float64:
			if isNumber || isText {
				steps[name] = n
			}
		}
	}
	return steps
}

// terms reads how squares are averaged.
func (g *group) terms(d *pickle.Dict) {
	number := func(key string) (float64, bool) {
		value, _ := d.Get(key)
		switch v := value.(type) {
		case float64:
			return v, true
		case int64:
			return float64(v), true
		}
		return 0, false
	}
	g.decay = torch.SecondBeta(d)
	for _, key := range []string{"alpha", "rho"} { // RMSprop's, Adadelta's
		if decay, ok := number(key); ok && g.decay == 0 && decay > 0 && decay < 1 {
			g.decay = decay
		}
	}
	g.initial, _ = number("initial_accumulator_value") // Adagrad's
	_, ofTransformers := number("decay_rate")
	_, ofTorch := number("beta2_decay")
	g.rising = ofTransformers || ofTorch // Adafactor's
}
