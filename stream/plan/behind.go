package plan

import (
	"errors"
	"fmt"
	"io/fs"

	"weld/format"
	"weld/format/hub"
	"weld/stream/layers"
	"weld/stream/recipe"
)

// Some models store layers behind those that they count, which predict further tokens. They are no part
// of what slices cut or gradients run over, and nothing of them is lost without a word.

// configOf is the configuration of a source; nil where there is none.
func (p *planner) configOf(s *Input) ([]byte, error) {
	beside := format.Beside(s.Checkpoint)
	if !beside.Exists() {
		return nil, nil
	}
	config, err := beside.Read(hub.ConfigName, hub.MaxSidecar)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the configuration of %s: %w", s.Path, err)
	}
	return config, nil
}

// run is the run of layers behind a prefix.
func (m *matcher) layerRun(s *Input, prefix string) layers.Run {
	for _, x := range m.layerRuns(s) {
		if x.Prefix == prefix {
			return x
		}
	}
	return layers.Run{Prefix: prefix}
}

// positions tells where the tensors of a checkpoint lie for gradients, and notes what they do not count, where the
// recipe has any.
func (m *matcher) positions(s *Input) func(name string) float64 {
	counts := make(map[string]int64)
	for _, run := range m.layerRuns(s) {
		counts[run.Prefix] = run.Layers
		if run.Behind > 0 && m.Recipe.Varies() {
			m.note("%s: gradients run over %d layers%s; what is behind is merged as the last layer is", s.Path, run.Layers, run.Spare())
		}
		if run.Lacks > 0 && m.Recipe.Varies() {
			m.note("%s: its config.json counts %d layers, and there are tensors of %d: gradients run over those", s.Path, run.Layers+run.Lacks, run.Layers)
		}
	}
	return func(name string) float64 {
		prefix, index, _ := layers.Split(name)
		if index < 0 {
			return 0
		}
		return layers.Position(index, counts[prefix])
	}
}

// behind lists the layers that are stored behind those of the last slice whose sources all have as many of
// them, behind the layers of the output.
func (m *matcher) behind(all []recipe.Slice, first int, run *restacked) {
	lost := ""
	for i := len(all) - 1; i >= 0; i-- {
		s := all[i]
		model := m.Models[m.lead(s).Model]
		runs := m.layerRuns(model)
		if len(runs) == 0 || runs[0].Behind == 0 {
			continue
		}
		spare := runs[0]
		if lost == "" {
			lost = model.Path + ": left out" + spare.Spare()
		}
		if !m.allHave(s, spare) {
			continue
		}
		m.slice = first + i
		inLayer := layersIn(model, spare.Prefix)
		for layer := range spare.Behind {
			m.layer(s, inLayer[spare.Layers+layer], spare.Prefix, run.layers+layer, 1, func(src recipe.SliceSource) int64 {
				return m.layerRun(m.Models[src.Model], spare.Prefix).Layers + layer
			})
		}
		run.behind = spare.Behind
		m.note("%s: what is behind its layers%s stands behind the %d layers of the output", model.Path, spare.Spare(), run.layers)
		return
	}
	if lost != "" {
		m.note("%s: other sources of the slice do not have it", lost)
	}
}

// allHave reports whether all sources of a slice have as many layers behind theirs.
func (m *matcher) allHave(s recipe.Slice, like layers.Run) bool {
	for _, src := range s.Sources {
		if m.layerRun(m.Models[src.Model], like.Prefix).Behind != like.Behind {
			return false
		}
	}
	return true
}

// noteLost lists what the models of slices have outside of their layers, or in layers that are taken, and
// the output will not.
func (m *matcher) noteLost(all []recipe.Slice) {
	written := make(map[string]bool, len(m.Tensors))
	for _, t := range m.Tensors {
		written[t.Name] = true
	}
	seen := make(map[int]bool)
	for _, s := range all {
		for _, src := range s.Sources {
			if seen[src.Model] {
				continue
			}
			seen[src.Model] = true
			from := m.Models[src.Model]
			runs := m.layerRuns(from)
			var names []string
			for _, t := range from.Tensors() {
				prefix, index, _ := layers.Split(t.Name)
				inRun := index >= 0 && len(runs) > 0 && prefix == runs[0].Prefix
				if !inRun && !written[t.Name] && m.owns(t.Name) {
					names = append(names, t.Name)
				}
			}
			if len(names) > 0 {
				m.note("%s: left out, since the models that the output takes them from do not have them: %s", from.Path, fewNames(names))
			}
		}
		m.noteLostInLayers(s)
	}
}

// noteLostInLayers lists what sources of a slice have in its layers and the one that leads does not.
func (m *matcher) noteLostInLayers(s recipe.Slice) {
	lead := m.lead(s)
	model := m.Models[lead.Model]
	runs := m.layerRuns(model)
	if len(s.Sources) < 2 || len(runs) == 0 {
		return
	}
	prefix := runs[0].Prefix
	for _, src := range s.Sources {
		from := m.Models[src.Model]
		if from == model {
			continue
		}
		var names []string
		for _, t := range from.Tensors() {
			p, index, suffix := layers.Split(t.Name)
			if p != prefix || index < int64(src.First) || index >= int64(src.Last) {
				continue
			}
			if _, there := model.Find(fmt.Sprint(prefix, index-int64(src.First)+int64(lead.First), suffix)); !there {
				names = append(names, t.Name)
			}
		}
		if len(names) > 0 {
			m.note("%s: left out, since %s does not have them in its layers: %s", from.Path, model.Path, fewNames(names))
		}
	}
}
