package deepspeed

import (
	"errors"
	"path"
	"slices"

	"weld/format/pickle"
	"weld/format/torch"
)

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
				betas = append(betas, torch.SecondBeta(d))
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
