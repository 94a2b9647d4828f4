package stream

import (
	"fmt"

	"weld/format"
	"weld/stream/recipe"
)

// stack lists the tensors of a model whose layers are put together from slices of others:
// what comes before the layers from the first slice, the layers renumbered, what comes
// behind them from the last slice.
func (m *matcher) stack() {
	first, last := 0, len(m.Recipe.Slices)-1
	m.slice = first
	m.loose(m.Recipe.Slices[first], func(name string) bool { return !afterLayers(name) })
	next := int64(0)
	for i, s := range m.Recipe.Slices {
		m.slice = i
		next += m.layers(s, next)
	}
	m.slice = last
	m.loose(m.Recipe.Slices[last], afterLayers)
	m.Layers = next
	if all := stacks(m.reference().Tensors()); len(all) > 0 {
		m.layersBefore = all[0].layers
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

// layers lists one slice, whose first layer gets the number next, and returns how many it has.
func (m *matcher) layers(s recipe.Slice, next int64) int64 {
	lead := m.lead(s)
	model := m.models[lead.Model]
	all := stacks(model.Tensors())
	if len(all) == 0 {
		m.fail(fmt.Errorf("%s: no layers (names like model.layers.0.…) to take a slice of", model.Path))
		return 0
	}
	prefix, count := all[0].prefix, int64(lead.Last-lead.First)
	for _, src := range s.Sources {
		from := m.models[src.Model]
		if have := layersOf(from, prefix); int64(src.Last) > have {
			m.fail(fmt.Errorf("slice %d: layer_range [%d, %d] of %s: it has %d layers, 0 to %d", m.slice+1, src.First, src.Last, from.Path, have, have-1))
			return 0
		}
	}
	for layer := range count {
		for i, t := range model.Tensors() {
			p, index, suffix := layerName(t.Name)
			if p != prefix || index != int64(lead.First)+layer {
				continue
			}
			m.addSliced(s, t, model, i, site{name: fmt.Sprint(prefix, next+layer, suffix), position: positionOf(layer, count)}, func(src recipe.SliceSource) string {
				return fmt.Sprint(prefix, int64(src.First)+layer, suffix)
			})
		}
	}
	return count
}

// loose lists the tensors outside of the layers, as far as they are wanted.
func (m *matcher) loose(s recipe.Slice, wanted func(name string) bool) {
	model := m.models[m.lead(s).Model]
	all := stacks(model.Tensors())
	for i, t := range model.Tensors() {
		prefix, index, _ := layerName(t.Name)
		if (index >= 0 && len(all) > 0 && prefix == all[0].prefix) || !wanted(t.Name) {
			continue
		}
		m.addSliced(s, t, model, i, site{name: t.Name}, func(recipe.SliceSource) string { return t.Name })
	}
}

// addSliced adds a tensor of a slice; name tells what it is called in a source.
func (m *matcher) addSliced(s recipe.Slice, t format.Tensor, model *Source, i int, at site, name func(recipe.SliceSource) string) {
	for k, src := range s.Sources {
		at.names = append(at.names, name(src))
		if src.Base {
			at.reference, at.base = m.models[src.Model], name(src)
			if m.Recipe.Method.BaseIs == recipe.BaseReference && len(s.Sources) > 1 {
				continue // it is what the others are compared with
			}
		}
		at.inputs = append(at.inputs, origin{k, src.Model, name(src)})
	}
	m.add(t, model, i, at)
}

// layersOf is the number of layers of a checkpoint behind a prefix.
func layersOf(s *Source, prefix string) int64 {
	for _, x := range stacks(s.Tensors()) {
		if x.prefix == prefix {
			return x.layers
		}
	}
	return 0
}
