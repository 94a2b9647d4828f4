package plan

import (
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"

	"weld/format"
	"weld/format/hub"
	"weld/format/moments"
	"weld/stream/fuse/methods"
	"weld/stream/layers"
	"weld/stream/recipe"
	"weld/stream/tokens"
)

// This file finds for every tensor of the output where it comes from.

// match lists the tensors of the output and finds each in every source.
func (p *planner) match() (problems []error) {
	m := matcher{planner: p, slice: -1, module: -1, filters: p.Recipe.Coverage(), params: p.method().Decoder(), origins: make(map[originsKey]*Origins), shares: make(map[shareKey]*ModelShare)}
	for _, module := range p.Recipe.Modules {
		m.modules = append(m.modules, module.Name)
	}
	switch {
	case p.Recipe.Modules != nil:
		m.eachModule()
	case p.Recipe.Slices != nil:
		m.stack(0, len(p.Recipe.Slices))
	default:
		m.merge()
		m.noteExtra(p.Reference(), p.Models)
	}
	m.reportFilters()
	p.noteRemarks()
	return p.checkSchemes(m.problems)
}

// matcher lists tensors.
type matcher struct {
	*planner
	slice    int      // of the recipe that is at hand; -1 for none
	module   int      // likewise
	modules  []string // their names
	filters  *recipe.Coverage
	params   *methods.ParamDecoder   // of the recipe's method
	runs     map[*Input][]layers.Run // of the module at hand
	problems []error
	origins  map[originsKey]*Origins
	shares   map[shareKey]*ModelShare
	parts    []ModelTensor // room for those of the next tensors
}

// originsKey and shareKey name what many tensors have in common; evaluated parameters, which are shared, by where
// they are.
type originsKey struct {
	from, reference *Input
	shared          uintptr
}

type shareKey struct {
	model  int
	params uintptr
}

// common returns one value for all tensors of the same origins.
func (m *matcher) common(o Origins) *Origins {
	key := originsKey{o.From, o.Reference, reflect.ValueOf(o.Shared).Pointer()}
	known := m.origins[key]
	if known == nil {
		known = new(o) // a copy: o itself would be memory for every tensor
		m.origins[key] = known
	}
	return known
}

// share returns one value for all that a model brings with the same parameters.
func (m *matcher) share(model int, params recipe.Values) *ModelShare {
	key := shareKey{model, reflect.ValueOf(params).Pointer()}
	known := m.shares[key]
	if known == nil {
		known = &ModelShare{model, params}
		m.shares[key] = known
	}
	return known
}

// contributions lends room for n parts.
func (m *matcher) contributions(n int) []ModelTensor {
	if len(m.parts) < n {
		m.parts = make([]ModelTensor, max(n, 1024))
	}
	room := m.parts[:0:n]
	m.parts = m.parts[n:]
	return room
}

func (m *matcher) fail(err error) { m.problems = append(m.problems, err) }

// merge lists the tensors of the reference, and an output layer that only other models have.
func (m *matcher) merge() {
	ref := m.Reference()
	positions := m.positions(ref)
	m.Tensors = slices.Grow(m.Tensors, len(ref.Tensors()))
	s := m.everywhere("")
	for i, t := range ref.Tensors() {
		s.rename(t.Name)
		s.position = positions(t.Name)
		m.add(t, ref, i, s)
	}
	m.tiedHead(ref, m.everywhere)
}

// tiedHead lists the output layer where the model that it resembles has none, being tied, and another model
// has one, or the reference, whose configuration says so; at is its request.
func (m *matcher) tiedHead(ref *Input, at func(name string) request) {
	for _, tied := range hub.TiedHeads {
		if _, ok := ref.Find(tied.Head); ok || !m.owns(tied.Head) {
			continue
		}
		i, ok := ref.Find(tied.Embedding)
		s := at(tied.Head)
		holds := func(model *Input) bool { _, holds := model.Find(tied.Head); return holds }
		if !ok || !holds(m.Reference()) && !slices.ContainsFunc(s.inputs, func(in origin) bool { return holds(m.Models[in.model]) }) {
			continue
		}
		t := ref.Tensors()[i]
		t.Name = tied.Head
		m.add(t, ref, i, s)
		m.note("%s: the output layer is tied to the embeddings; %q is written, since other models have one", ref.Path, tied.Head)
	}
}

// noteExtra lists what models have of the module at hand and the output, which resembles ref, will not.
func (m *matcher) noteExtra(ref *Input, models []*Input) {
	var written func(name string) bool // made when first asked: next to no model has more than the reference
	for _, model := range models {
		var names []string
		for _, t := range model.Tensors() {
			if has(ref, t.Name) || !m.owns(t.Name) {
				continue
			}
			if written == nil {
				written = m.written()
			}
			if !written(t.Name) {
				names = append(names, t.Name)
			}
		}
		if len(names) > 0 {
			m.note("%s: left out, since %s does not have them: %s", model.Path, ref.Path, fewNames(names))
		}
	}
}

// written tells which names are those of tensors that are listed by now.
func (m *matcher) written() (has func(name string) bool) {
	var table format.NameTable
	nameAt := func(i int) string { return m.Tensors[i].Name }
	table.Reserve(len(m.Tensors), nameAt)
	for range m.Tensors {
		table.Add(nameAt)
	}
	return func(name string) bool {
		_, there := table.Find(name, nameAt)
		return there
	}
}

// everywhere is the request of a tensor that has the same name in every model.
func (p *planner) everywhere(name string) request {
	s := request{name: name}
	for i := range p.Models {
		s.names = append(s.names, name)
		s.inputs = append(s.inputs, origin{i, i, name})
	}
	return s
}

// rename makes a request of another tensor of one that has the same name everywhere.
func (s *request) rename(name string) {
	s.name = name
	for i := range s.inputs {
		s.names[i], s.inputs[i].name = name, name
	}
}

// request is a tensor of the output before its sources are found.
type request struct {
	name      string
	reference *Input   // the base, if it is not the recipe's own
	base      string   // its name there
	names     []string // its name in every source of the recipe, or of the slice
	inputs    []origin // the sources that are merged
	position  float64  // of its layer, from 0 to 1
}

// sources are those that are merged, as indexes in its names.
func (s request) sources() iter.Seq[int] {
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
	source int // index in the request's names
	model  int
	name   string
}

// add finds the sources of one tensor. t is as it is in ref, at index i, but for the name.
func (m *matcher) add(t format.Tensor, ref *Input, i int, s request) {
	out := Tensor{Tensor: t, Index: int32(i), Base: -1}
	out.Name = s.name
	out.DType, out.Stored = t.StoredDType(), format.Invalid
	if !t.Computable() {
		if !t.Calibrated && m.drops(s) {
			return
		}
		out.Action = Copy
		out.Origins = m.common(Origins{From: ref})
		m.takeWhole(&out, s)
		m.Tensors = append(m.Tensors, out)
		if !t.Calibrated { // else [planner.settleCache] says it, of all
			m.noteDifferent(out, s)
		}
		return
	}
	if s.reference == nil {
		s.reference, s.base = m.Base, s.name
	}
	wanted := m.Recipe.Method.BaseIs == recipe.BaseReference || m.Recipe.Params.Text("nonfinite") == "base"
	from := Origins{From: ref}
	if s.reference != nil && wanted {
		base, err := m.find(s.reference, s.base, t)
		if err != nil {
			m.fail(err)
		}
		out.Base, from.Reference = int32(base), s.reference
	}
	out.Origins = m.common(from)
	var err error
	if from.Shared, err = m.addContributions(&out, t, s); err == errDropped {
		return
	}
	out.Origins = m.common(from)
	if m.Recipe.DType != format.Invalid && !m.staysFloat32(t) {
		out.DType = m.Recipe.DType
	}
	m.copyIfUnchanged(&out)
	m.Tensors = append(m.Tensors, out)
}

// takeWhole has a method that passes a model on copy what weld does not compute with from the one model that it passes on.
func (m *matcher) takeWhole(out *Tensor, s request) {
	if !m.params.PassesOn() || len(s.inputs) != 1 {
		return
	}
	model := m.Models[s.inputs[0].model]
	if j, ok := model.Find(s.inputs[0].name); ok {
		if t := model.Tensors()[j]; t.DType == out.DType && slices.Equal(t.Shape, out.Shape) {
			out.Origins, out.Index = m.common(Origins{From: model}), int32(j)
		}
	}
}

// addContributions finds the tensor in every model that takes part, and returns the parameters that they share. The error is
// [errDropped] where the tensor is to be left out.
func (m *matcher) addContributions(out *Tensor, t format.Tensor, s request) (recipe.Values, error) {
	at := recipe.TensorRef{Slice: max(m.slice, 0), Output: s.name, Inputs: s.names, T: s.position}
	shared, own := m.Recipe.At(at)
	m.filters.See(at, s.sources())
	out.Models = m.contributions(len(s.inputs))
	for _, in := range s.inputs {
		index, err := m.supply(out, in, t)
		if err == errDropped {
			return nil, err
		} else if err != nil {
			m.fail(err)
		}
		importance := -1
		if file := m.Importance[in.model]; file != nil {
			if _, known := file.Find(in.name); !known && index == supplied {
				out.unknown = true
			} else if importance, err = m.locateImportance(file, in.name, t, s); err != nil {
				m.fail(err)
			}
		}
		out.Models = append(out.Models, ModelTensor{m.share(in.model, own[in.source]), int32(index), int32(importance)})
	}
	return shared, nil
}

// find finds a tensor that must be there, or the one that stands for it.
func (m *matcher) find(s *Input, name string, like format.Tensor) (int, error) {
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
func locate(s *Input, j int, ok bool, name string, like format.Tensor) (int, error) {
	if !ok {
		return -1, &format.Error{Path: s.Path, Tensor: name, Kind: format.KindMissing, Detail: s.Role + " lacks the tensor"}
	}
	got := s.Tensors()[j]
	if !slices.Equal(got.Shape, like.Shape) {
		detail := fmt.Sprintf("%s has shape %v where %v is expected", s.Role, got.Shape, like.Shape)
		if len(got.Shape) == 2 && len(like.Shape) == 2 && got.Shape[1] == like.Shape[1] && tokens.IsEmbedding(got) {
			detail += "; tokenizer_source: union, or base, merges models of different vocabularies"
		}
		if len(got.Shape) == 2 && len(like.Shape) == 2 && got.Shape[1] != like.Shape[1] && tokens.IsEmbedding(got) {
			detail += fmt.Sprintf("; the models are of different sizes, with hidden sizes of %d and %d, and cannot be merged", got.Shape[1], like.Shape[1])
		}
		return -1, &format.Error{Path: s.Path, Tensor: name, Kind: format.KindShape, Detail: detail}
	}
	if !got.Computable() {
		return -1, &format.Error{Path: s.Path, Tensor: name, Kind: format.KindDType, Detail: fmt.Sprintf("%s has dtype %v, which weld does not compute with", s.Role, got.DType)}
	}
	return j, nil
}

// locateImportance finds a tensor in an importance file, where it may be missing if
// the recipe says so.
func (m *matcher) locateImportance(s *Input, name string, like format.Tensor, of request) (int, error) {
	if s.strange {
		return -1, nil
	}
	j, ok := s.Find(name)
	j, err := locate(s, j, ok, name, like)
	if err == nil {
		return j, nil
	}
	switch m.Recipe.Params.Text("missing_importance") {
	case "drop":
		m.noteProblem(fmt.Errorf("%w: %s", err, m.withoutPart(of, like)))
		return -1, nil
	case "keep":
		m.noteProblem(fmt.Errorf("%w: its task vector is taken whole", err))
		return -1, nil
	}
	if _, ofOptimizer := s.stored.(*moments.Moments); ofOptimizer && !ok {
		err = fmt.Errorf("%w: the optimizer has no second moment of it, as of parameters that were frozen", err)
	}
	return -1, fmt.Errorf("%w (set missing_importance to %s to go on without%s)", err, m.withoutImportance(), s.foreign)
}

// withoutPart is what becomes of a model in a tensor that its importance file lacks.
func (m *matcher) withoutPart(of request, like format.Tensor) string {
	if !m.Recipe.Method.Unasking {
		return "its task vector is left out"
	}
	for _, in := range of.inputs {
		if file := m.Importance[in.model]; file != nil {
			j, ok := file.Find(in.name)
			if _, err := locate(file, j, ok, in.name, like); err == nil {
				return "the model has no part in it"
			}
		}
	}
	return "no file has it, and all models are merged by their weights alone"
}

// withoutImportance is what can be said of tensors without importance, but for the default.
func (p *planner) withoutImportance() string {
	for _, param := range p.Recipe.Method.Params {
		if param.Key == "missing_importance" {
			return strings.Join(slices.DeleteFunc(slices.Clone(param.Choices), func(s string) bool { return s == param.Default }), " or ")
		}
	}
	return ""
}

// copyIfUnchanged turns a fuse that would change nothing into a copy.
func (m *matcher) copyIfUnchanged(out *Tensor) {
	if m.options.Varied || !m.params.PassesOn() || len(out.Models) != 1 || out.Models[0].Index == absent {
		return
	}
	if out.Base >= 0 { // nonfinite: base looks at every value
		return
	}
	x := out.Models[0]
	if model, i := m.Model(out, 0); m.params.Unchanged(out.Shared, x.Params) && model.Tensors()[i].DType == out.DType {
		out.Action, out.Index = Copy, int32(i)
		out.Origins = m.common(Origins{From: model, Reference: out.Reference, Shared: out.Shared})
	}
}
