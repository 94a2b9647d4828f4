package plan

import (
	"fmt"
	"slices"
	"strings"

	"weld/format"
	"weld/format/hub"
	"weld/stream/recipe"
)

// Modules are recognised from tensor names too. A recipe names one as mergekit does where it knows
// the architecture (text_decoder, vision_tower), or as it does elsewhere: by what stands before the
// numbers of its layers (model.layers), or "default" for what is in no other module.

// defaultModule is the name of what no other module of a recipe has.
const defaultModule = "default"

// partWords are names of modules, and parts of tensors' names that tell which module they are of.
var partWords = map[string]hub.Submodel{
	"text_decoder": hub.Text, "language_model": hub.Text, "text_model": hub.Text, "shared": hub.Text,

	"vision_tower": hub.Vision, "vision_model": hub.Vision, "vision_encoder": hub.Vision, "vision_embed_tokens": hub.Vision, "visual": hub.Vision,

	"audio_tower": hub.Audio, "audio_model": hub.Audio, "audio_encoder": hub.Audio,

	"multi_modal_projector": hub.Projector, "mm_projector": hub.Projector, "merger": hub.Projector, "deepstack_merger_list": hub.Projector,
	"connector": hub.Projector, "aligner": hub.Projector, "mlp1": hub.Projector, "embed_vision": hub.Projector, "embed_audio": hub.Projector,
	"visual_projection": hub.Projector, "text_projection": hub.Projector,

	"encoder": hub.Encoder, "decoder": hub.Decoder,
}

// partNames are what mergekit calls them.
var partNames = map[hub.Submodel]string{
	hub.Text: "text_decoder", hub.Vision: "vision_tower", hub.Audio: "audio_tower", hub.Projector: "multi_modal_projector",
	hub.Encoder: "encoder", hub.Decoder: "decoder",
}

// partOf tells which part of a model a tensor belongs to, by the last word before its layer's number that
// says so, and where that word ends. What nothing is said of is of the language model. An encoder or
// a decoder is a part where it stands first: vision towers have encoders too.
func partOf(name string) (part hub.Submodel, end int) {
	prefix, _, _ := layerName(name)
	part = hub.Text
	for at := 0; at < len(prefix); {
		word, _, _ := strings.Cut(prefix[at:], ".")
		stop := at + len(word)
		if p, known := partWords[word]; known && (p != hub.Encoder && p != hub.Decoder || at == 0 || prefix[:at] == "model.") {
			part, end = p, stop
		}
		at = stop + 1
	}
	return part, end
}

// claim is how sure a module is of a tensor: how much of its name says so; 0 where nothing speaks against it,
// -1 where it is of another module.
func claim(module, name string) int {
	best := -1
	for _, prefix := range []string{module, "model." + module} {
		if strings.HasPrefix(name, prefix+".") {
			best = len(prefix)
		}
	}
	word, known := partWords[module]
	if part, end := partOf(name); known && part == word {
		best = max(best, end)
	}
	return best
}

// moduleOf is the index of the module of a recipe that has the tensor; -1 if none does.
func moduleOf(modules []recipe.Module, name string) int {
	found, best, rest := -1, -1, -1
	for i, m := range modules {
		if m.Name == defaultModule {
			rest = i
		} else if c := claim(m.Name, name); c > best {
			found, best = i, c
		}
	}
	if found < 0 {
		return rest
	}
	return found
}

// owns reports whether a tensor is of the module at hand; every tensor is, where a recipe has no modules.
func (m *matcher) owns(name string) bool {
	return m.module < 0 || moduleOf(m.Recipe.Modules, name) == m.module
}

// layerRuns lists the runs of layers that the module at hand has in a checkpoint.
func (m *matcher) layerRuns(s *Input) []layerRun {
	if known, ok := m.runs[s]; ok {
		return known
	}
	tensors := s.Tensors()
	if m.module >= 0 {
		tensors = slices.DeleteFunc(slices.Clone(tensors), func(t format.Tensor) bool { return !m.owns(t.Name) })
	}
	runs := layerRuns(tensors)
	config, err := m.configOf(s)
	if err != nil {
		m.fail(err)
	}
	settle(runs, config)
	if m.runs == nil {
		m.runs = make(map[*Input][]layerRun)
	}
	m.runs[s] = runs
	return runs
}

// modules lists the tensors of each module.
func (m *matcher) modules() {
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
		if !slices.ContainsFunc(from.Tensors(), func(t format.Tensor) bool { return moduleOf(m.Recipe.Modules, t.Name) == i }) {
			m.fail(fmt.Errorf("module %q %s of the recipe: no tensor of %s is in it; there are %s", module.Name, module.Where, from.Path, modulesOf(from.Tensors())))
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

// modulesOf says which modules a checkpoint has, by name, and by the prefixes that do as well.
func modulesOf(tensors []format.Tensor) string {
	common := make(map[hub.Submodel]string)
	for _, t := range tensors {
		part, _ := partOf(t.Name)
		prefix, _, _ := layerName(t.Name)
		if old, known := common[part]; known {
			prefix = commonPrefix(old, prefix)
		}
		common[part] = prefix
	}
	var list []string
	for part := hub.Text; part <= hub.Decoder; part++ {
		prefix, there := common[part]
		if !there {
			continue
		}
		prefix = prefix[:strings.LastIndexByte(prefix, '.')+1]
		list = append(list, fmt.Sprintf("%s (%s…)", partNames[part], prefix))
	}
	text := strings.Join(list, ", ")
	var runs []string
	for _, s := range layerRuns(tensors) {
		runs = append(runs, strings.TrimSuffix(s.prefix, "."))
	}
	if len(runs) > 0 {
		text += fmt.Sprintf("; layers go by the names %s too, and what is in no other module by %s", strings.Join(runs, ", "), defaultModule)
	}
	return text
}

func commonPrefix(a, b string) string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return a[:n]
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
		if moduleOf(m.Recipe.Modules, t.Name) < 0 {
			names = append(names, t.Name)
		}
	}
	if len(names) > 0 {
		m.note("%s: left out, since no module of the recipe has them: %s", m.Reference().Path, fewNames(names))
	}
}
