package deepspeed

import (
	"errors"
	"path"
	"slices"
	"strconv"

	"weld/format"
	"weld/format/pickle"
	"weld/format/torch"
)

// Optimizer is what the optimizer of a checkpoint keeps of its parameters. A tensor is called state.PARAMETER.KIND, by what the optimizer calls it.
type Optimizer struct {
	*torch.Checkpoint
	Steps map[string]float64 // of parameters, where the files say
	Beta2 map[string]float64 // the second of Adam's betas, where the files say
	notes []string
}

// Notes implements [format.Noted].
func (o *Optimizer) Notes() []string { return o.notes }

// The kinds that are looked for: the first that is there.
var kinds = []string{"exp_avg_sq", "exp_avg", "momentum_buffer"}

// unlike are keys of states whose exp_avg_sq are no second moments of parameters, or none by themselves.
var unlike = []struct{ key, what string }{
	{"qmap2", "8-bit codes of bitsandbytes, in blocks that do not end where parameters do"},
	{"exp_avg_diff", "second moments of gradients and their differences, as Adan does"},
	{"GG", "second moments in another basis, as SOAP does"}, {"Q", "second moments in another basis, as SOAP does"},
}

// OpenOptimizer opens the second moments in a checkpoint, or, of an optimizer that keeps none, what it keeps instead.
func OpenOptimizer(root format.Folder, open Opener) (*Optimizer, error) {
	p, err := locate(root)
	if err != nil {
		return nil, err
	}
	o := &optimizer{reading: &reading{place: p, open: open, placed: make(map[string]int)}, steps: make(map[string]float64), betas: make(map[string]float64)}
	if err := o.find(); err != nil {
		return nil, errors.Join(err, o.close())
	}
	c, err := o.assemble()
	if err != nil {
		return nil, err
	}
	return &Optimizer{c, o.steps, o.betas, o.notes}, nil
}

// optimizer is an optimizer whose files are being read.
type optimizer struct {
	*reading
	steps, betas map[string]float64
}

func (o *optimizer) find() error {
	f, err := o.place.list()
	if err != nil {
		return err
	}
	if len(f.optim) == 0 && f.universal {
		return o.universal(f)
	}
	ms, err := o.models(f)
	if err != nil {
		return err
	}
	if ms[0].groups == nil {
		return o.fault(format.KindUnsupported, "a checkpoint without ZeRO, whose optimizer has numbers for parameters, in the order of a program's groups: nothing tells which are which")
	}
	p, err := o.partitions(ms, f)
	if err != nil {
		return err
	}
	found, err := p.find()
	if err != nil {
		return err
	}
	if p.model.misled { // the weights tell whether the order is right
		w := &reading{place: o.place, sources: o.sources, placed: make(map[string]int)}
		for _, x := range found {
			if err := w.add(ms[0].saved, p.placed(x, func(s *shard) []flat { return s.flats })); err != nil {
				return err
			}
		}
		if err := w.agree(ms[0], "param_slice_mappings are not of the order of the partitions (round_robin_gradients), and param_shapes are followed"); err != nil {
			return err
		}
	}
	return o.partitioned(p, found)
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

// partitioned takes the states of parameters that are partitioned.
func (o *optimizer) partitioned(p *partitions, found []laid) error {
	kept := make([][]group, len(p.shards))
	for rank, s := range p.shards {
		var err error
		if kept[rank], err = o.groups(s, p.stage); err != nil {
			return err
		}
		for g, x := range kept[rank] {
			switch first := kept[0][g]; {
			case x.kind != first.kind || x.row.dtype != first.row.dtype:
				return s.fault(format.KindIndex, "", "its optimizer keeps %s of group %d, and that of rank 0 %s", x, g, first)
			case x.step != first.step:
				return s.fault(format.KindIndex, "", "its optimizer is at step %g, and that of rank 0 at step %g", x.step, first.step)
			case x.kind != "" && x.row.count < s.flats[g].count || p.stage == 3 && x.kind != "" && x.row.count != s.flats[g].count:
				return s.fault(format.KindSize, "", "its optimizer has %d elements of %s for group %d, whose partition has %d", x.row.count, x.kind, g, s.flats[g].count)
			}
		}
	}
	rows := make(map[*shard][]flat, len(p.shards))
	for rank, s := range p.shards {
		for _, x := range kept[rank] {
			rows[s] = append(rows[s], x.row)
		}
	}
	for _, x := range found {
		if len(x.parts) == 0 {
			continue
		}
		of := kept[0][x.parts[0].group]
		for _, part := range x.parts {
			if kept[0][part.group].kind != of.kind {
				return p.model.fault(format.KindIndex, x.name, "it lies in two groups, of which the optimizer keeps other states")
			}
		}
		if of.kind == "" {
			continue
		}
		t := p.placed(x, func(s *shard) []flat { return rows[s] })
		if err := o.keep(p.model.saved, t, of); err != nil {
			return err
		}
	}
	return o.shared(p.model)
}

// shared gives parameters that are the same as others the states of those.
func (o *optimizer) shared(m *modelStates) error {
	for _, item := range m.shared {
		name, of := item.Key.(string), item.Value.(string)
		for _, kind := range kinds {
			i, ok := o.placed[stateName(of, kind)]
			if !ok {
				continue
			}
			if step, said := o.steps[of]; said {
				o.steps[name] = step
			}
			if beta, said := o.betas[of]; said {
				o.betas[name] = beta
			}
			t := o.list[i]
			t.Name = stateName(name, kind)
			if err := o.add(m.saved, t); err != nil {
				return err
			}
		}
	}
	return nil
}

func stateName(parameter, kind string) string { return "state." + parameter + "." + kind }

// keep lists the state of a parameter.
func (o *optimizer) keep(s *saved, t torch.Placed, of group) error {
	name := t.Name
	if of.step != unsaid {
		o.steps[name] = of.step
	}
	if of.beta2 != 0 {
		o.betas[name] = of.beta2
	}
	t.Name = stateName(name, of.kind)
	return o.add(s, t)
}

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
			betas[id] = beta2(d)
			if step, ok := d.Get("step"); ok && states[id] != nil {
				if _, own := states[id].Get("step"); !own { // as the fused optimizers have it
					states[id].Items = append(states[id].Items, pickle.Item{Key: "step", Value: step})
				}
			}
		}
	}
	return states, betas, nil
}

// universal takes the states of whole parameters.
func (o *optimizer) universal(f files) error {
	ms, err := o.about(f)
	if err != nil {
		return err
	}
	if len(ms) > 0 && ms[0].robin && stageOf(f) < 3 {
		w := &reading{place: o.place, open: o.open, placed: make(map[string]int)}
		err := errors.Join(w.universal(f), w.close())
		if err != nil {
			return err
		}
	}
	beta, step, err := o.common()
	if err != nil {
		return err
	}
	u := &whole{reading: o.reading, shapes: make(map[string]shaped)}
	if len(ms) > 0 {
		u.know(ms[0])
	}
	err = u.each(momentName, func(s *saved, name string, t torch.Placed) error {
		t.Name = name
		of := group{kind: kinds[0], beta2: beta, step: step}
		own, err := o.step(name)
		if err != nil {
			return err
		}
		if own != unsaid {
			of.step = own
		}
		return o.keep(s, t, of)
	})
	if err != nil || len(ms) == 0 {
		return err
	}
	return o.shared(ms[0])
}

// step is what a parameter's file of steps says.
func (o *optimizer) step(name string) (float64, error) {
	file := path.Join(universalFolder, name, stepName)
	if there, err := o.has(file); err != nil || !there {
		return unsaid, err
	}
	s, err := o.read(file)
	if err != nil {
		return 0, err
	}
	n, said, err := o.number(s, s.Value)
	if !said {
		n = unsaid
	}
	return n, err
}

// common reads what is common to all parameters: the second beta, 0 where there are several or none, and the step.
func (o *optimizer) common() (beta, step float64, err error) {
	file := path.Join(universalFolder, commonName)
	if there, err := o.has(file); err != nil || !there {
		return 0, unsaid, err
	}
	s, err := o.read(file)
	if err != nil {
		return 0, 0, err
	}
	root, err := s.root()
	if err != nil {
		return 0, 0, err
	}
	groups, _, err := get[*pickle.List](s, root, "param_groups")
	if err != nil {
		return 0, 0, err
	}
	var betas, steps []float64
	if groups != nil {
		for _, item := range groups.Items {
			if d, ok := item.(*pickle.Dict); ok {
				betas = append(betas, beta2(d))
			}
		}
	}
	inner, _, err := get[*pickle.Dict](s, root, "optimizer_state_dict") // of stage 3: all that rank 0 had
	if err != nil || inner == nil {
		return all(betas, 0), unsaid, err
	}
	state, _, err := get[*pickle.Dict](s, inner, "state")
	if err != nil || state == nil {
		return all(betas, 0), unsaid, err
	}
	for _, item := range state.Items {
		d, ok := item.Value.(*pickle.Dict)
		if !ok {
			continue
		}
		v, _ := d.Get("step")
		n, said, err := o.number(s, v)
		if err != nil {
			return 0, 0, err
		}
		if said {
			steps = append(steps, n)
		}
	}
	return all(betas, 0), all(steps, unsaid), nil
}

// all is the one number that a list has, however often; without if it is empty or has several.
func all(list []float64, without float64) float64 {
	if list = slices.Compact(list); len(list) != 1 {
		return without
	}
	return list[0]
}
