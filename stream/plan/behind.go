package plan

import (
	"errors"
	"fmt"
	"io/fs"

	"weld/format"
	"weld/format/hub"
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
func (m *matcher) layerRun(s *Input, prefix string) layerRun {
	for _, x := range m.layerRuns(s) {
		if x.prefix == prefix {
			return x
		}
	}
	return layerRun{prefix: prefix}
}

// spare names the layers behind those that are counted; "" where there are none.
func (s layerRun) spare() string {
	switch s.behind {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf(" (layer %d is stored behind the %d that its config.json counts)", s.layers, s.layers)
	}
	return fmt.Sprintf(" (layers %d to %d are stored behind the %d that its config.json counts)", s.layers, s.layers+s.behind-1, s.layers)
}

// positions tells where the tensors of a checkpoint lie for gradients, and notes what they do not count, where the
// recipe has any.
func (m *matcher) positions(s *Input) func(name string) float64 {
	layers := make(map[string]int64)
	for _, run := range m.layerRuns(s) {
		layers[run.prefix] = run.layers
		if run.behind > 0 && m.Recipe.Varies() {
			m.note("%s: gradients run over %d layers%s; what is behind is merged as the last layer is", s.Path, run.layers, run.spare())
		}
		if run.lacks > 0 && m.Recipe.Varies() {
			m.note("%s: its config.json counts %d layers, and there are tensors of %d: gradients run over those", s.Path, run.layers+run.lacks, run.layers)
		}
	}
	return func(name string) float64 {
		prefix, index, _ := layerName(name)
		if index < 0 {
			return 0
		}
		return positionOf(index, layers[prefix])
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
		if len(runs) == 0 || runs[0].behind == 0 {
			continue
		}
		spare := runs[0]
		if lost == "" {
			lost = model.Path + ": left out" + spare.spare()
		}
		if !m.allHave(s, spare) {
			continue
		}
		m.slice = first + i
		inLayer := layersIn(model, spare.prefix)
		for layer := range spare.behind {
			m.layer(s, inLayer[spare.layers+layer], spare.prefix, run.layers+layer, 1, func(src recipe.SliceSource) int64 {
				return m.layerRun(m.Models[src.Model], spare.prefix).layers + layer
			})
		}
		run.behind = spare.behind
		m.note("%s: what is behind its layers%s stands behind the %d layers of the output", model.Path, spare.spare(), run.layers)
		return
	}
	if lost != "" {
		m.note("%s: other sources of the slice do not have it", lost)
	}
}

// allHave reports whether all sources of a slice have as many layers behind theirs.
func (m *matcher) allHave(s recipe.Slice, like layerRun) bool {
	for _, src := range s.Sources {
		if m.layerRun(m.Models[src.Model], like.prefix).behind != like.behind {
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
				prefix, index, _ := layerName(t.Name)
				inRun := index >= 0 && len(runs) > 0 && prefix == runs[0].prefix
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
	prefix := runs[0].prefix
	for _, src := range s.Sources {
		from := m.Models[src.Model]
		if from == model {
			continue
		}
		var names []string
		for _, t := range from.Tensors() {
			p, index, suffix := layerName(t.Name)
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
