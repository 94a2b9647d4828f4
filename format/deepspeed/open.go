package deepspeed

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"weld/format"
	"weld/format/gather"
	"weld/format/pickle"
	"weld/format/torch"
)

// Opener opens a file by its name in the directory that the user named.
type Opener func(name string) (torch.Source, error)

// Open opens the weights of a checkpoint: its own directory, or that of a training.
func Open(root format.Folder, open Opener) (*torch.Checkpoint, error) {
	p, err := locate(root)
	if err != nil {
		return nil, err
	}
	r := &reading{place: p, open: open, placed: make(map[string]int)}
	if err := r.weights(); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r.assemble()
}

// reading is a checkpoint whose files are being read.
type reading struct {
	*place
	open    Opener
	sources []torch.Source
	inputs  []format.InputFile
	list    []torch.Placed
	placed  map[string]int // numbers in list, by name
}

func (r *reading) close() error {
	var errs []error
	for _, s := range r.sources {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// assemble makes a checkpoint of what was found.
func (r *reading) assemble() (*torch.Checkpoint, error) {
	return torch.Assemble(r.root.Path(), r.beside, r.sources, r.inputs, r.list, r.notes)
}

// read reads a file of the checkpoint.
func (r *reading) read(name string) (*saved, error) {
	src, err := r.open(r.prefix + name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, &format.Error{Path: r.dir.Join(name), Kind: format.KindMissing, Detail: "no such file, which the checkpoint needs"}
	}
	if err != nil {
		return nil, err
	}
	r.sources = append(r.sources, src)
	s, err := torch.Read(src.Path(), src, 0, src.Size(), more())
	if err != nil {
		return nil, err
	}
	r.inputs = append(r.inputs, format.InputFile{Path: src.Path(), Info: src.Info(), Digest: sha256.Sum256(s.Digest[:])})
	return &saved{s, src.Path(), len(r.sources) - 1}, nil
}

// add lists a tensor.
func (r *reading) add(s *saved, t torch.Placed) error {
	if _, twice := r.placed[t.Name]; twice {
		return s.fault(format.KindDuplicate, t.Name, "it is there twice: among buffers, frozen and trained parameters")
	}
	r.placed[t.Name] = len(r.list)
	r.list = append(r.list, t)
	return nil
}

// weights finds the weights.
func (r *reading) weights() error {
	f, err := r.place.list()
	if err != nil {
		return err
	}
	if len(f.optim) == 0 && f.universal {
		return r.universal(f)
	}
	if f.universal {
		r.notes = append(r.notes, fmt.Sprintf("%s: the partitions of the ranks are taken, and not the whole parameters in %s, which are there as well", r.dir.Path(), universalFolder))
	}
	ms, err := r.models(f)
	if err != nil {
		return err
	}
	if ms[0].groups == nil {
		return r.whole(ms[0], f)
	}
	p, err := r.partitions(ms, f)
	if err != nil {
		return err
	}
	found, err := p.find()
	if err != nil {
		return err
	}
	if err := r.besides(ms, p.stage); err != nil {
		return err
	}
	for _, x := range found {
		if err := r.add(ms[0].saved, p.placed(x, func(s *shard) []flat { return s.flats })); err != nil {
			return err
		}
	}
	if ms[0].misled {
		if err := r.agreesInOrder(ms[0]); err != nil {
			return err
		}
		r.notes = append(r.notes, fmt.Sprintf("%s: its param_slice_mappings are not of the order of the partitions, as round_robin_gradients leaves them: param_shapes are followed, and the model's weights agree", r.dir.Path()))
	}
	return r.complete(ms[0], p.stage)
}

// models reads the files of model states, of which the first is that of rank 0.
func (r *reading) models(f files) (list []*modelStates, err error) {
	names := make([]string, 0, len(f.model))
	if whole, ok := f.model[-1]; ok {
		if names = append(names, whole); len(f.model) > 1 {
			return nil, r.fault(format.KindIndex, "%s is there, and %s: one of them is of another checkpoint", whole, f.model[slices.Max(slices.Collect(maps.Keys(f.model)))])
		}
	} else if names, err = r.ranks(f.model, "files of model states"); err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, r.fault(format.KindMissing, "partitions are there, and no model_states.pt, which says what they are of")
	}
	for _, name := range names {
		s, err := r.read(name)
		if err != nil {
			return nil, err
		}
		m, err := models(s)
		if err == nil && len(list) > 0 {
			err = m.agrees(list[0])
		}
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}

// whole takes the weights of a checkpoint without ZeRO: what was saved of the model.
func (r *reading) whole(m *modelStates, f files) error {
	if len(f.optim) > 0 {
		return m.fault(format.KindKey, "", "there is no param_shapes in it, and %d partitions are there, of which it should say what they are", len(f.optim))
	}
	r.notes = append(r.notes, fmt.Sprintf("%s: a checkpoint without ZeRO: the weights are those of the model, in the type in which it was trained", r.dir.Path()))
	if m.module == nil {
		return m.fault(format.KindKey, "", "there is no module in it")
	}
	_, err := r.module(m, false)
	return err
}

// besides takes buffers and frozen parameters.
func (r *reading) besides(ms []*modelStates, stage int64) error {
	m := ms[0]
	for _, name := range m.buffers {
		if m.module == nil {
			break
		}
		if t, ok := lookup(m.module, name); ok {
			if err := r.take(m.saved, name, t); err != nil {
				return err
			}
		}
	}
	for _, x := range m.frozen {
		var err error
		if stage == 3 {
			err = r.frozenParts(ms, x)
		} else {
			err = r.frozenWhole(m, x)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// lookup is a tensor of a dictionary.
func lookup(d *pickle.Dict, name string) (*torch.Tensor, bool) {
	v, _ := d.Get(name)
	t, ok := v.(*torch.Tensor)
	return t, ok
}

// take lists a tensor as it is saved.
func (r *reading) take(s *saved, name string, t *torch.Tensor) error {
	p, err := s.Placed(torch.Named{Name: name, Tensor: t}, s.source)
	if err != nil {
		return err
	}
	return r.add(s, p)
}

// frozenWhole takes a frozen parameter that is whole.
func (r *reading) frozenWhole(m *modelStates, x shaped) error {
	t, ok := lookup(m.fragments, x.name)
	switch {
	case !ok:
		return m.fault(format.KindMissing, x.name, "frozen_param_shapes have it, and frozen_param_fragments have not")
	case !slices.Equal(t.Shape, x.shape):
		return m.fault(format.KindShape, x.name, "a frozen parameter of shape %v, and %v of it are saved", x.shape, t.Shape)
	}
	return r.take(m.saved, x.name, t)
}

// frozenParts puts a frozen parameter together of which each rank has a part.
func (r *reading) frozenParts(ms []*modelStates, x shaped) error {
	share := (x.size + int64(len(ms)) - 1) / int64(len(ms))
	b := builder{shape: x}
	left := x.size
	for _, m := range ms {
		v, _ := m.fragments.Get(x.name)
		f, err := m.row(x.name, v)
		if err != nil {
			return err
		}
		if f.count != share {
			return m.fault(format.KindSize, x.name, "a frozen parameter of shape %v, of which each of %d ranks has %d elements, and %d are saved", x.shape, len(ms), share, f.count)
		}
		if b.dtype != format.Invalid && b.dtype != f.dtype {
			return m.fault(format.KindDType, x.name, "its part is %v, and that of rank 0 %v", f.dtype, b.dtype)
		}
		b.add(m.source, f, 0, min(f.count, left))
		left -= min(f.count, left)
	}
	return r.add(ms[0].saved, b.placed())
}

// builder puts a tensor together of rows of elements.
type builder struct {
	shape  shaped
	dtype  format.DType
	pieces []gather.Piece
	filled int64
}

// one is the stride of elements in a row.
var one = []int64{1}

// add adds elements of a partition in a file.
func (b *builder) add(source int, f flat, start, size int64) {
	b.dtype = f.dtype
	if size == 0 {
		return
	}
	at := []int64{b.filled, size}
	b.pieces = append(b.pieces, gather.Piece{Source: source, Begin: f.begin + start*f.dtype.Align(), Offset: at[:1:1], Shape: at[1:], Strides: one})
	b.filled += size
}

// placed is the tensor, once all its elements are added. Its layout is that of the tensor as one row.
func (b *builder) placed() torch.Placed {
	p := torch.Placed{Tensor: format.Tensor{Name: b.shape.name, DType: b.dtype, Shape: b.shape.shape}}
	if len(b.pieces) > 0 {
		p.Source, p.Begin = b.pieces[0].Source, b.pieces[0].Begin
	}
	if len(b.pieces) != 1 {
		p.Layout = &gather.Layout{Shape: []int64{b.filled}, Width: b.dtype.Align(), Pieces: b.pieces}
	}
	return p
}

// complete takes shared parameters, and what the model has beyond what was found: in stages 1 and 2 it is whole.
func (r *reading) complete(m *modelStates, stage int64) error {
	for _, item := range m.shared {
		name, of := item.Key.(string), item.Value.(string)
		i, ok := r.placed[of]
		if !ok {
			continue // as its model has it
		}
		if j, twice := r.placed[name]; twice {
			if slices.Equal(r.list[i].Shape, r.list[j].Shape) && r.list[j].Elements() == 0 { // all of no elements have one address
				continue
			}
			return m.fault(format.KindDuplicate, name, "shared_params have it as the same as %q, and it has values of its own", excerpt(of))
		}
		t := r.list[i]
		t.Name = name
		if err := r.add(m.saved, t); err != nil {
			return err
		}
	}
	if m.module == nil {
		return nil
	}
	taken, err := r.module(m, stage == 3)
	if len(taken) > 0 {
		r.notes = append(r.notes, fmt.Sprintf("%s: no partition has %s: the values of the model are taken, in the type in which it was trained", m.path, someOf(taken)))
	}
	return err
}

// module takes the tensors of the model that are not there yet. Where the model is divided, one without elements is in no rank.
func (r *reading) module(m *modelStates, divided bool) (taken []string, err error) {
	var left []string
	for _, item := range m.module.Items {
		name, named := item.Key.(string)
		t, isTensor := item.Value.(*torch.Tensor)
		if !named || !isTensor {
			left = append(left, excerpt(name))
			continue
		}
		if _, ok := r.placed[name]; ok {
			continue
		}
		if size, ok := format.Elements(t.Shape); ok && size == 0 && divided {
			return nil, m.fault(format.KindMissing, name, "it is a parameter of the model, and no rank has a part of it")
		}
		if err := r.take(m.saved, name, t); err != nil {
			return nil, err
		}
		taken = append(taken, excerpt(name))
	}
	if len(left) > 0 {
		r.notes = append(r.notes, fmt.Sprintf("%s: left out, as no tensors: %s", m.path, someOf(left)))
	}
	return taken, nil
}
