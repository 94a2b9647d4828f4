package deepspeed

import (
	"errors"

	"weld/format"
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
		if err := w.agreesInOrder(ms[0]); err != nil {
			return err
		}
	}
	return o.partitioned(p, found)
}

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
