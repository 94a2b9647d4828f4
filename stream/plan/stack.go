package plan

import (
	"fmt"

	"weld/format"
	"weld/format/hub"
	"weld/stream/layers"
	"weld/stream/recipe"
)

// restacked is a run of layers of the output that slices put together: what a configuration
// says of the layers follows it.
type restacked struct {
	part   hub.Submodel
	like   layers.Run // the run in the reference
	layers int64      // of the output
	behind int64      // and behind those
	slices []takenLayers
}

// takenLayers are the layers of a slice, in the model whose names and types the output takes.
type takenLayers struct {
	from        *Input
	prefix      string // of its layers' names
	of, behind  int64  // how many layers it has, and has behind those
	first, last int64
}

// stack lists the tensors of a model, or a module, whose layers are put together from slices of others,
// those of the recipe from first up to last: what comes before the layers from the first slice, the
// layers renumbered, what comes behind them from the last slice.
func (m *matcher) stack(first, last int) {
	all := m.Recipe.Slices[first:last]
	m.slice = first
	m.loose(all[0], func(name string) bool { return !layers.After(name) })
	var run restacked
	for i, s := range all {
		m.slice = first + i
		m.layers(s, first, &run)
	}
	m.behind(all, first, &run)
	m.slice = last - 1
	end := all[len(all)-1]
	m.loose(end, layers.After)
	m.tiedHead(m.Models[m.lead(end).Model], func(head string) request {
		return m.sliced(end, request{name: head}, func(recipe.SliceSource) string { return head })
	})
	m.noteLost(all)
	if runs := m.layerRuns(m.Reference()); len(runs) > 0 {
		run.like = runs[0]
		run.part, _ = layers.SubmodelOf(runs[0].Prefix)
		m.restacked = append(m.restacked, run)
	}
}

// lead is the source whose names and dtypes the output of a slice takes: the base, if it is
// one of the sources, or the first.
func (m *matcher) lead(s recipe.Slice) recipe.SliceSource {
	for _, src := range s.Sources {
		if src.Base {
			return src
		}
	}
	return s.Sources[0]
}

// layers lists one slice behind the layers that are there already. first is the first slice of the
// module, for messages.
func (m *matcher) layers(s recipe.Slice, first int, run *restacked) {
	lead := m.lead(s)
	model := m.Models[lead.Model]
	all := m.layerRuns(model)
	if len(all) == 0 {
		m.fail(fmt.Errorf("%s: no layers (names like model.layers.0.…) to take a slice of%s", model.Path, m.inModule()))
		return
	}
	prefix, count := all[0].Prefix, int64(lead.Last-lead.First)
	if len(run.slices) > 0 && run.slices[0].prefix != prefix {
		m.fail(otherPrefix(model, prefix, run.slices[0]))
		return
	}
	for _, src := range s.Sources {
		from := m.Models[src.Model]
		if have := m.layerRun(from, prefix); int64(src.Last) > have.Layers {
			m.fail(m.Recipe.Problem(s.Where, "slice %d%s: layer_range [%d, %d] of %s: it has %d layers, 0 to %d%s", m.slice-first+1, m.inModule(), src.First, src.Last, from.Path, have.Layers, have.Layers-1, have.Spare()))
			return
		}
	}
	inLayer := layersIn(model, prefix)
	for layer := range count {
		to := run.layers + layer
		m.layer(s, inLayer[int64(lead.First)+layer], prefix, to, layers.Position(layer, count), func(src recipe.SliceSource) int64 {
			return int64(src.First) + layer
		})
	}
	run.layers += count
	run.slices = append(run.slices, takenLayers{model, prefix, all[0].Layers, all[0].Behind, int64(lead.First), int64(lead.Last)})
}

// otherPrefix is the error for layers that other slices name otherwise: what they make together is no model.
func otherPrefix(s *Input, prefix string, first takenLayers) error {
	return &format.Error{Path: s.Path, Kind: format.KindNames, Detail: fmt.Sprintf("its layers are called %s0.… and those of %s %s0.…, and a stack has one name for all; save one of the models with the names of the other",
		prefix, first.from.Path, first.prefix)}
}

// layer lists the tensors of one layer of the output, given by their indexes in the model that leads; from
// tells the layer's number in a source.
func (m *matcher) layer(s recipe.Slice, tensors []int, prefix string, to int64, position float64, from func(recipe.SliceSource) int64) {
	model := m.Models[m.lead(s).Model]
	for _, i := range tensors {
		t := model.Tensors()[i]
		_, _, suffix := layers.Split(t.Name)
		m.addSliced(s, t, model, i, request{name: fmt.Sprint(prefix, to, suffix), position: position}, func(src recipe.SliceSource) string {
			return fmt.Sprint(prefix, from(src), suffix)
		})
	}
}

// layersIn lists the tensors of each layer of a run, by their indexes in a checkpoint.
func layersIn(s *Input, prefix string) map[int64][]int {
	in := make(map[int64][]int)
	for i, t := range s.Tensors() {
		if p, index, _ := layers.Split(t.Name); p == prefix {
			in[index] = append(in[index], i)
		}
	}
	return in
}

// inModule names the module at hand, for messages.
func (m *matcher) inModule() string {
	if m.module < 0 {
		return ""
	}
	return fmt.Sprintf(" in module %s", m.Recipe.Modules[m.module].Name)
}

// loose lists the tensors outside of the layers, as far as they are wanted.
func (m *matcher) loose(s recipe.Slice, wanted func(name string) bool) {
	model := m.Models[m.lead(s).Model]
	all := m.layerRuns(model)
	for i, t := range model.Tensors() {
		prefix, index, _ := layers.Split(t.Name)
		if (index >= 0 && len(all) > 0 && prefix == all[0].Prefix) || !wanted(t.Name) || !m.owns(t.Name) {
			continue
		}
		m.addSliced(s, t, model, i, request{name: t.Name}, func(recipe.SliceSource) string { return t.Name })
	}
}

// addSliced adds a tensor of a slice; name tells what it is called in a source.
func (m *matcher) addSliced(s recipe.Slice, t format.Tensor, model *Input, i int, at request, name func(recipe.SliceSource) string) {
	m.add(t, model, i, m.sliced(s, at, name))
}

// sliced says what goes into a tensor of a slice.
func (m *matcher) sliced(s recipe.Slice, at request, name func(recipe.SliceSource) string) request {
	for k, src := range s.Sources {
		at.names = append(at.names, name(src))
		if src.Base {
			at.reference, at.base = m.Models[src.Model], name(src)
			if m.Recipe.Method.BaseIs == recipe.BaseReference && len(s.Sources) > 1 {
				continue // it is what the others are compared with
			}
		}
		at.inputs = append(at.inputs, origin{k, src.Model, name(src)})
	}
	return at
}

// restack makes a configuration follow the layers that slices put together; left says what
// could not.
func (p *planner) restack(config []byte) (out []byte, left []string, err error) {
	for _, run := range p.restacked {
		s := hub.Stack{Part: run.part, Before: run.like.Layers, Behind: run.like.Behind, NowBehind: run.behind}
		for _, t := range run.slices {
			taken := hub.Taken{Of: t.from.Path, Layers: t.of, Behind: t.behind, First: t.first, Last: t.last}
			if taken.Config, err = p.configOf(t.from); err != nil {
				return nil, nil, err
			}
			s.Slices = append(s.Slices, taken)
		}
		var more []string
		config, more = hub.Restack(config, s)
		left = append(left, more...)
	}
	return config, left, nil
}
