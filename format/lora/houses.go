package lora

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"weld/format"
)

// A base shows the parts of a pipeline in one of three ways: as directories of one folder (unet/…), as what the original
// programs keep in a single file (model.diffusion_model.…), or as the one part that it is. A house is where a part's
// modules may lie; an adapter's names have none of it.

// houseOf lists, for a part as files call it, the beginnings of its tensors' names in a base.
var houseOf = map[string][]string{
	"lora_unet":        {"unet/", "transformer/", original},
	"lora_transformer": {"transformer/", original},
	"lora_te":          {"text_encoder/", "cond_stage_model.transformer.", "cond_stage_model.model."},
	"lora_te1":         {"text_encoder/", "conditioner.embedders.0.transformer.", "text_encoders.clip_l.transformer."},
	"lora_te2":         {"text_encoder_2/", "conditioner.embedders.1.model.", "text_encoders.clip_g.transformer."},
	"lora_te3":         {"text_encoder_3/", "text_encoders.t5xxl.transformer."},
	"lycoris":          {"unet/", "transformer/", original},

	originalPart:     {"transformer/", original},
	"unet":           {"unet/", original},
	"transformer":    {"transformer/", original},
	"transformer_2":  {"transformer_2/"},
	"text_encoder":   {"text_encoder/", "cond_stage_model.transformer.", "cond_stage_model.model.", "conditioner.embedders.0.transformer.", "text_encoders.clip_l.transformer."},
	"text_encoder_2": {"text_encoder_2/", "conditioner.embedders.1.model.", "text_encoders.clip_g.transformer."},
	"text_encoder_3": {"text_encoder_3/", "text_encoders.t5xxl.transformer."},
}

// original begins the names of the denoiser in single files.
const original = "model.diffusion_model."

// inText begins the names of modules in text encoders. transformers 5 leaves it out of what it holds in memory, and of some files.
const inText = "text_model."

// houses are those of a base.
type houses struct {
	base   format.Checkpoint
	folder string                        // the last part of the base's own directory
	whole  bool                          // the base is one part by itself
	single bool                          // so is all of the adapter
	found  map[string]map[string][]place // by house, and by how names of adapters have a module
}

// newHouses looks at how a base shows the parts of a pipeline, and at which of them an adapter has.
func newHouses(base, adapter format.Checkpoint) *houses {
	h := &houses{base: base, whole: true, single: true, found: make(map[string]map[string][]place)}
	for _, t := range base.Tensors() {
		if strings.Contains(t.Name, "/") || slices.ContainsFunc(allHouses(), func(begin string) bool { return strings.HasPrefix(t.Name, begin) }) {
			h.whole = false
			break
		}
	}
	beside := format.Beside(base)
	h.folder = filepath.Base(beside.Path())
	if !beside.Exists() {
		h.folder = filepath.Base(filepath.Dir(base.Path()))
	}
	part := ""
	for _, t := range adapter.Tensors() {
		if k, wrong, ok := parseBare(t.Name); ok && wrong == "" {
			h.single = h.single && (part == "" || part == k.part)
			part = k.part
		}
	}
	return h
}

// allHouses lists every beginning of a name.
func allHouses() (list []string) {
	for _, of := range houseOf {
		list = append(list, of...)
	}
	return list
}

// open lists where a part's modules may lie in the base. A base that is one part by itself serves an adapter of one part,
// unless its directory is called as another part's.
func (h *houses) open(part string) []string {
	list := houseOf[part]
	if part == "lora_te3" && !h.has("text_encoder_3/") { // Flux has T5 as its second text encoder, SD 3 as its third
		list = append([]string{"text_encoder_2/"}, list...)
	}
	if h.whole && h.single && (!slices.Contains(allHouses(), h.folder+"/") || slices.Contains(list, h.folder+"/")) {
		list = append([]string{""}, list...)
	}
	return list
}

// has reports whether any tensor lies in a house.
func (h *houses) has(house string) bool {
	return slices.ContainsFunc(h.base.Tensors(), func(t format.Tensor) bool { return strings.HasPrefix(t.Name, house) })
}

// find returns where the module is that a name means, or says why there is none.
func (h *houses) find(k bareKey) (where place, kind format.Kind, wrong string) {
	var all []place
	for _, house := range h.open(k.part) {
		all = append(all, h.in(house, k.flat)[common(k.module, k.flat)]...)
	}
	switch {
	case len(all) == 1:
		return all[0], "", ""
	case len(all) > 1:
		return place{}, format.KindNames, fmt.Sprintf("%q could be %q or %q of %s; weld does not choose", clip(k.module), clip(all[0].module), clip(all[1].module), h.base.Path())
	case h.whole && !h.single:
		return place{}, format.KindKey, fmt.Sprintf("%s is one part of a pipeline, and the adapter is for several: name the folder of all parts as the base", h.base.Path())
	}
	how := "called " + fmt.Sprintf("%q", clip(k.module))
	if k.flat {
		how = fmt.Sprintf("%q with _ for its dots", clip(k.module))
	}
	return place{}, format.KindKey, fmt.Sprintf("%s has no module %s where %s has its own%s", h.base.Path(), how, k.part, h.hint(k))
}

// hint says what may be the reason where a part is there and its modules are called otherwise.
func (h *houses) hint(k bareKey) string {
	if !slices.ContainsFunc(h.open(k.part), h.has) {
		return ", nor any other module of it"
	}
	return ": an adapter is for models in the names that it was trained with, diffusers' or those of the original single file (of U-Nets of Stable Diffusion, of Flux and of Stable Diffusion 3 weld knows both)"
}

// in lists the modules of a house by how names of adapters have them.
func (h *houses) in(house string, flat bool) map[string][]place {
	at := fmt.Sprint(house, flat)
	if h.found[at] != nil {
		return h.found[at]
	}
	of := make(map[string][]place)
	add := func(name string, where place) { of[common(name, flat)] = append(of[common(name, flat)], where) }
	var modules []string
	for _, t := range h.base.Tensors() {
		name, here := strings.CutPrefix(t.Name, house)
		if !here {
			continue
		}
		inside, weight := strings.CutSuffix(name, ".weight")
		if weight {
			modules = append(modules, inside)
			add(inside, place{module: house + inside})
		}
		openCLIPPlaces(inside, func(module string, third int) {
			switch {
			case third > 0:
				add(module, place{house + module, &cut{tensors: []string{t.Name}, piece: third, of: len(thirds)}})
			case weight:
				add(module, place{module: house + inside})
			}
		})
	}
	for inside, name := range unetNames(modules) {
		add(name, place{module: house + inside})
	}
	transformerPlaces(house, modules, add)
	h.found[at] = of
	return of
}

// common is what names of a base and of an adapter for one module have in common.
func common(module string, flat bool) string {
	if !flat {
		return strings.TrimPrefix(module, inText)
	}
	return strings.TrimPrefix(flattened(module), flattened(inText))
}
