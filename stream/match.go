package stream

import (
	"fmt"
	"iter"
	"reflect"
	"slices"

	"weld/format"
	"weld/format/hub"
	"weld/stream/fuse"
	"weld/stream/recipe"
	"weld/stream/tokens"
)

// This file finds for every tensor of the output where it comes from.

// match lists the tensors of the output and finds each in every source.
func (p *Plan) match() (problems []error) {
	m := matcher{Plan: p, slice: -1, module: -1, filters: p.Recipe.Coverage()}
	switch {
	case p.Recipe.Modules != nil:
		m.modules()
	case p.Recipe.Slices != nil:
		m.stack(0, len(p.Recipe.Slices))
	default:
		m.merge()
		m.noteExtra(p.reference(), p.models)
	}
	m.reportFilters()
	p.noteRemarks()
	return p.checkSchemes(m.problems)
}

// matcher lists tensors.
type matcher struct {
	*Plan
	slice    int // of the recipe that is at hand; -1 for none
	module   int // likewise
	filters  *recipe.Coverage
	runs     map[*Source][]stack // of the module at hand
	problems []error
}

func (m *matcher) fail(err error) { m.problems = append(m.problems, err) }

// merge lists the tensors of the reference, and an output layer that only other models have.
func (m *matcher) merge() {
	ref := m.reference()
	positions := m.positions(ref)
	for i, t := range ref.Tensors() {
		s := m.everywhere(t.Name)
		s.position = positions(t.Name)
		m.add(t, ref, i, s)
	}
	m.tiedHead(ref, m.everywhere)
}

// tiedHead lists the output layer where the model that it resembles has none, being tied, and another model
// has one, or the reference, whose configuration says so; at is its site.
func (m *matcher) tiedHead(ref *Source, at func(name string) site) {
	for _, tied := range hub.TiedHeads {
		if _, ok := ref.Find(tied.Head); ok || !m.owns(tied.Head) {
			continue
		}
		i, ok := ref.Find(tied.Embedding)
		s := at(tied.Head)
		holds := func(model *Source) bool { _, holds := model.Find(tied.Head); return holds }
		if !ok || !holds(m.reference()) && !slices.ContainsFunc(s.inputs, func(in origin) bool { return holds(m.models[in.model]) }) {
			continue
		}
		t := ref.Tensors()[i]
		t.Name = tied.Head
		m.add(t, ref, i, s)
		m.note("%s: the output layer is tied to the embeddings; %q is written, since other models have one", ref.Path, tied.Head)
	}
}

// noteExtra lists what models have of the module at hand and the output, which resembles ref, will not.
func (m *matcher) noteExtra(ref *Source, models []*Source) {
	written := make(map[string]bool, len(m.Tensors))
	for _, t := range m.Tensors {
		written[t.Name] = true
	}
	for _, model := range models {
		var names []string
		for _, t := range model.Tensors() {
			if !written[t.Name] && m.owns(t.Name) && !has(ref, t.Name) {
				names = append(names, t.Name)
			}
		}
		if len(names) > 0 {
			m.note("%s: left out, since %s does not have them: %s", model.Path, ref.Path, fewNames(names))
		}
	}
}

// everywhere is the site of a tensor that has the same name in every model.
func (p *Plan) everywhere(name string) site {
	s := site{name: name}
	for i := range p.models {
		s.names = append(s.names, name)
		s.inputs = append(s.inputs, origin{i, i, name})
	}
	return s
}

// site is a tensor of the output before its sources are found.
type site struct {
	name      string
	reference *Source  // the base, if it is not the recipe's own
	base      string   // its name there
	names     []string // its name in every source of the recipe, or of the slice
	inputs    []origin // the sources that are merged
	position  float64  // of its layer, from 0 to 1
}

// sources are those that are merged, as indexes in its names.
func (s site) sources() iter.Seq[int] {
	return func(yield func(int) bool) {
		for _, in := range s.inputs {
			if !yield(in.source) {
				return
			}
		}
	}
}

// reportFilters tells of filters that leave tensors out, and of those that no tensor has.
func (m *matcher) reportFilters() {
	problems, notes := m.filters.Report()
	if len(problems) > 0 {
		m.fail(problems)
	}
	m.Notes = append(m.Notes, notes...)
}

// origin is where a model has a tensor.
type origin struct {
	source int // index in the site's names
	model  int
	name   string
}

// add finds the sources of one tensor. t is as it is in ref, at index i, but for the name.
func (m *matcher) add(t format.Tensor, ref *Source, i int, s site) {
	out := Output{Tensor: t, from: ref, index: i, base: -1}
	out.Name = s.name
	out.DType, out.Stored = t.StoredDType(), format.Invalid
	if !t.DType.Computable() {
		if m.drops(s) {
			return
		}
		out.Action = Copy
		m.takeWhole(&out, s)
		m.Tensors = append(m.Tensors, out)
		m.noteDifferent(out, s)
		return
	}
	if s.reference == nil {
		s.reference, s.base = m.base, s.name
	}
	wanted := m.Recipe.Method.BaseIs == recipe.BaseReference || m.Recipe.Params.Text("nonfinite") == "base"
	if s.reference != nil && wanted {
		var err error
		if out.base, err = m.find(s.reference, s.base, t); err != nil {
			m.fail(err)
		}
		out.reference = s.reference
	}
	if m.addParts(&out, t, s) == errDropped {
		return
	}
	if m.Recipe.DType != format.Invalid {
		out.DType = m.Recipe.DType
	}
	m.copyIfUnchanged(&out)
	m.Tensors = append(m.Tensors, out)
}

// takeWhole has passthrough copy what weld does not compute with from the one model that it passes on.
func (m *matcher) takeWhole(out *Output, s site) {
	if m.Recipe.Method.Name != "passthrough" || len(s.inputs) != 1 {
		return
	}
	model := m.models[s.inputs[0].model]
	if j, ok := model.Find(s.inputs[0].name); ok {
		if t := model.Tensors()[j]; t.DType == out.DType && slices.Equal(t.Shape, out.Shape) {
			out.from, out.index = model, j
		}
	}
}

// addParts finds the tensor in every model that takes part. The error is [errDropped] where the tensor is to be left out.
func (m *matcher) addParts(out *Output, t format.Tensor, s site) error {
	at := recipe.Site{Slice: max(m.slice, 0), Output: s.name, Inputs: s.names, T: s.position}
	shared, own := m.Recipe.At(at)
	out.shared = shared
	m.filters.See(at, s.sources())
	for _, in := range s.inputs {
		x := part{model: in.model, importance: -1, params: own[in.source]}
		var err error
		if x.index, err = m.supply(out, in, t); err == errDropped {
			return err
		} else if err != nil {
			m.fail(err)
		}
		if file := m.importance[in.model]; file != nil {
			if _, known := file.Find(in.name); !known && x.index == supplied {
				out.unknown = true
			} else if x.importance, err = m.locateImportance(file, in.name, t); err != nil {
				m.fail(err)
			}
		}
		out.parts = append(out.parts, x)
	}
	return nil
}

// find finds a tensor that must be there, or the one that stands for it.
func (m *matcher) find(s *Source, name string, like format.Tensor) (int, error) {
	if s.strange {
		return -1, nil
	}
	j, ok := s.Find(name)
	if !ok {
		if j, ok = tiedTo(s.Checkpoint, name); ok {
			name = s.Tensors()[j].Name
		}
	}
	return locate(s, j, ok, name, like)
}

// locate demands that a tensor is there and has the shape of another.
func locate(s *Source, j int, ok bool, name string, like format.Tensor) (int, error) {
	if !ok {
		return -1, &format.Error{Path: s.Path, Tensor: name, Kind: format.KindMissing, Detail: s.Role + " lacks the tensor"}
	}
	got := s.Tensors()[j]
	if !slices.Equal(got.Shape, like.Shape) {
		detail := fmt.Sprintf("%s has shape %v where %v is expected", s.Role, got.Shape, like.Shape)
		if len(got.Shape) == 2 && len(like.Shape) == 2 && got.Shape[1] == like.Shape[1] && tokens.IsEmbedding(got) {
			detail += "; tokenizer_source: union, or base, merges models of different vocabularies"
		}
		return -1, &format.Error{Path: s.Path, Tensor: name, Kind: format.KindShape, Detail: detail}
	}
	if !got.DType.Computable() {
		return -1, &format.Error{Path: s.Path, Tensor: name, Kind: format.KindDType, Detail: fmt.Sprintf("%s has dtype %v, which weld does not compute with", s.Role, got.DType)}
	}
	return j, nil
}

// locateImportance finds a tensor in an importance file, where it may be missing if
// the recipe says so.
func (p *Plan) locateImportance(s *Source, name string, like format.Tensor) (int, error) {
	if s.strange {
		return -1, nil
	}
	j, ok := s.Find(name)
	j, err := locate(s, j, ok, name, like)
	if err == nil {
		return j, nil
	}
	switch p.Recipe.Params.Text("missing_importance") {
	case "drop":
		p.noteProblem(fmt.Errorf("%w: its task vector is left out", err))
		return -1, nil
	case "keep":
		p.noteProblem(fmt.Errorf("%w: its task vector is taken whole", err))
		return -1, nil
	}
	return -1, fmt.Errorf("%w (set missing_importance to drop or keep to go on without%s)", err, s.foreign)
}

// copyIfUnchanged turns a fuse that would change nothing into a copy.
func (p *Plan) copyIfUnchanged(out *Output) {
	if p.Recipe.Method.Name != "passthrough" || len(out.parts) != 1 || out.parts[0].index == absent {
		return
	}
	if out.base >= 0 { // nonfinite: base looks at every value
		return
	}
	x := out.parts[0]
	if m, i := p.operand(out, x); x.params.Number("scale") == 1 && m.Tensors()[i].DType == out.DType {
		out.Action, out.from, out.index = Copy, m, i
	}
}

// paramsKey names evaluated parameters that are shared, and the model that they are of; -1 for
// all.
type paramsKey struct {
	values  uintptr
	model   int
	based   bool
	unknown bool
}

// numbers turns evaluated parameters into what methods read, once for those that many tensors
// share. It adds what only the plan knows.
func (p *Plan) numbers(v recipe.Values, of *part, based, unknown bool) fuse.Params {
	key := paramsKey{reflect.ValueOf(v).Pointer(), -1, based, unknown}
	if of != nil {
		key.model = of.model
	}
	if known, ok := p.params[key]; ok {
		return known
	}
	n := make(fuse.Params, len(v)+1)
	for name, x := range v {
		n[name] = x.Number
		if x.Bool {
			n[name] = 1
		}
	}
	switch {
	case of != nil:
		n["statistic"] = float64(p.statistics[of.model])
	case based:
		n["with_base"] = 1
	}
	if v["missing_importance"].Text == "drop" || unknown {
		n["missing_importance"] = 1
	}
	if p.params == nil {
		p.params = make(map[paramsKey]fuse.Params)
	}
	p.params[key] = n
	return n
}
