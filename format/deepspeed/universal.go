package deepspeed

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"weld/format"
	"weld/format/gather"
	"weld/format/pickle"
	"weld/format/torch"
)

// Names of files in the directory of a whole parameter, and of what is common to all.
const (
	weightsName = "fp32.pt"
	momentName  = "exp_avg_sq.pt"
	stepName    = "step.pt"
	commonName  = "optimizer_state.pt"
)

// universal finds the weights of a checkpoint of whole parameters.
func (r *reading) universal(f files) error {
	ms, err := r.about(f)
	if err != nil {
		return err
	}
	u := &whole{reading: r, shapes: make(map[string]shaped)}
	apart := make(map[string]bool) // buffers became float32 there, and shared parameters were rounded
	if len(ms) > 0 {
		u.know(ms[0])
		if err := r.besides(ms, stageOf(f)); err != nil {
			return err
		}
		for name := range r.placed {
			apart[name] = true
		}
		for _, item := range ms[0].shared {
			apart[item.Key.(string)] = true
		}
	} else {
		r.notes = append(r.notes, fmt.Sprintf("%s: no file of model states is there, which says what are buffers: all are taken as they are in %s", r.dir.Path(), universalFolder))
	}
	if err := u.each(weightsName, func(s *saved, name string, t torch.Placed) error {
		if apart[name] {
			return nil
		}
		t.Name = name
		return r.add(s, t)
	}); err != nil {
		return err
	}
	if len(ms) == 0 {
		return nil
	}
	for _, group := range ms[0].groups {
		for _, x := range group {
			if _, ok := r.placed[x.name]; !ok {
				return r.fault(format.KindMissing, "the parameter %q is in param_shapes, and there is no %s", excerpt(x.name), path.Join(universalFolder, excerpt(x.name), weightsName))
			}
		}
	}
	if ms[0].robin && stageOf(f) < 3 {
		if err := r.agree(ms[0], "it was made of partitions with round_robin_gradients, of which ds_to_universal takes the parameters in another order; take those partitions"); err != nil {
			return err
		}
	}
	return r.complete(ms[0], stageOf(f))
}

// about reads the files of model states, where there are any.
func (r *reading) about(f files) ([]*modelStates, error) {
	if len(f.model) == 0 {
		return nil, nil
	}
	return r.models(f)
}

// stageOf is the stage of ZeRO that a checkpoint of whole parameters was of, as far as files of model states tell: each rank has one in stage 3.
func stageOf(f files) int64 {
	if _, ok := f.model[-1]; ok {
		return 2
	}
	return 3
}

// whole is a checkpoint of whole parameters.
type whole struct {
	*reading
	shapes map[string]shaped
}

// know takes the shapes of parameters.
func (u *whole) know(m *modelStates) {
	for _, group := range m.groups {
		for _, x := range group {
			u.shapes[x.name] = x
		}
	}
}

// has reports whether a file is there.
func (p *place) has(name string) (bool, error) {
	info, err := p.dir.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	}
	return !info.IsDir(), nil
}

// each reads a file of every parameter that has it, in the order of their names.
func (u *whole) each(file string, found func(s *saved, name string, t torch.Placed) error) error {
	entries, err := u.dir.ReadDir(universalFolder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Type().IsRegular() { // what is common to all
			continue
		}
		name := path.Join(universalFolder, e.Name(), file)
		if there, err := u.has(name); err != nil {
			return err
		} else if !there {
			continue
		}
		s, err := u.read(name)
		if err != nil {
			return err
		}
		t, err := u.tensor(s, e.Name())
		if err == nil {
			err = found(s, e.Name(), t)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// tensor is what a file has of a parameter: a tensor in its shape under param, or, of stage 3, one in a row.
func (u *whole) tensor(s *saved, name string) (torch.Placed, error) {
	switch v := s.Value.(type) {
	case *pickle.Dict:
		t, ok := lookup(v, "param")
		if !ok {
			return torch.Placed{}, s.fault(format.KindKey, name, "there is no tensor under param in it")
		}
		if x, known := u.shapes[name]; known && !slices.Equal(t.Shape, x.shape) {
			return torch.Placed{}, s.fault(format.KindShape, name, "its shape is %v, and %v in param_shapes", t.Shape, x.shape)
		}
		return s.Placed(torch.Named{Name: name, Tensor: t}, s.source)
	case *torch.Tensor:
		f, err := s.row(name, v)
		if err != nil {
			return torch.Placed{}, err
		}
		x, known := u.shapes[name]
		switch {
		case !known:
			return torch.Placed{}, s.fault(format.KindShape, name, "its elements are in a row, and no param_shapes say which shape it has")
		case x.size != f.count:
			return torch.Placed{}, s.fault(format.KindSize, name, "it has the shape %v, and %d elements are saved", x.shape, f.count)
		case x.size == 0 || slices.Equal(v.Shape, x.shape) && gather.InRow(v.Shape, v.Strides):
			return s.Placed(torch.Named{Name: name, Tensor: v}, s.source)
		}
		b := builder{shape: x}
		b.add(s.source, f, 0, f.count)
		return b.placed(), nil
	}
	return torch.Placed{}, s.fault(format.KindType, name, "%s, where a parameter is saved", pickle.Kind(s.Value))
}
