package plan

import (
	"fmt"
	"slices"

	"weld/format"
	"weld/stream/layers"
	"weld/stream/recipe"
)

// owns reports whether a tensor is of the module at hand; every tensor is, where a recipe has no modules.
func (m *matcher) owns(name string) bool {
	return m.module < 0 || m.moduleOf(name) == m.module
}

// layerRuns lists the runs of layers that the module at hand has in a checkpoint.
func (m *matcher) layerRuns(s *Input) []layers.Run {
	if known, ok := m.runs[s]; ok {
		return known
	}
	tensors := s.Tensors()
	if m.module >= 0 {
		tensors = slices.DeleteFunc(slices.Clone(tensors), func(t format.Tensor) bool { return !m.owns(t.Name) })
	}
	runs := layers.Runs(tensors)
	config, err := m.configOf(s)
	if err != nil {
		m.fail(err)
	}
	layers.Settle(runs, config)
	if m.runs == nil {
		m.runs = make(map[*Input][]layers.Run)
	}
	m.runs[s] = runs
	return runs
}

// eachModule lists the tensors of each module.
func (m *matcher) eachModule() {
	if !m.named() {
		return
	}
	for i, module := range m.Recipe.Modules {
		m.module, m.runs = i, nil
		if all := m.Recipe.Slices[module.First:module.Last]; all[0].Whole {
			m.slice = module.First
			m.whole(all[0])
		} else {
			m.stack(module.First, module.Last)
		}
	}
	m.noteUnclaimed()
}

// named demands that every module is there in the checkpoint that it resembles.
func (m *matcher) named() bool {
	for i, module := range m.Recipe.Modules {
		from := m.resembled(m.Recipe.Slices[module.First])
		if !slices.ContainsFunc(from.Tensors(), func(t format.Tensor) bool { return m.moduleOf(t.Name) == i }) {
			m.fail(fmt.Errorf("module %q %s of the recipe: no tensor of %s is in it; there are %s", module.Name, module.Where, from.Path, layers.Describe(from.Tensors())))
		}
	}
	return len(m.problems) == 0
}

// resembled is the checkpoint whose names and types a slice takes.
func (m *matcher) resembled(s recipe.Slice) *Input {
	if s.Whole && m.Base != nil {
		return m.Base
	}
	return m.Models[m.lead(s).Model]
}

// whole lists the tensors of a module that is merged without slices.
func (m *matcher) whole(s recipe.Slice) {
	ref := m.resembled(s)
	positions := m.positions(ref)
	for i, t := range ref.Tensors() {
		if !m.owns(t.Name) {
			continue
		}
		at := m.inSlice(s, t.Name)
		at.position = positions(t.Name)
		m.add(t, ref, i, at)
	}
	m.tiedHead(ref, func(name string) request { return m.inSlice(s, name) })
	var models []*Input
	for _, src := range s.Sources {
		models = append(models, m.Models[src.Model])
	}
	m.noteExtra(ref, models)
}

// inSlice is the request of a tensor that has the same name in every source of a slice.
func (m *matcher) inSlice(s recipe.Slice, name string) request {
	at := request{name: name}
	for k, src := range s.Sources {
		at.names = append(at.names, name)
		at.inputs = append(at.inputs, origin{k, src.Model, name})
	}
	return at
}

// noteUnclaimed lists what no module of the recipe has, which is left out, as in mergekit.
func (m *matcher) noteUnclaimed() {
	var names []string
	for _, t := range m.Reference().Tensors() {
		if m.moduleOf(t.Name) < 0 {
			names = append(names, t.Name)
		}
	}
	if len(names) > 0 {
		m.note("%s: left out, since no module of the recipe has them: %s", m.Reference().Path, fewNames(names))
	}
}

// moduleOf is the index of the recipe's module that has a tensor; -1 if none does.
func (m *matcher) moduleOf(name string) int { return layers.ModuleOf(m.modules, name) }
