package layers

import (
	"fmt"
	"strings"

	"weld/format"
	"weld/format/hub"
)

// Modules are recognised from tensor names too. A recipe names one as mergekit does where it knows
// the architecture (text_decoder, vision_tower), or as it does elsewhere: by what stands before the
// numbers of its layers (model.layers), or "default" for what is in no other module.

// DefaultModule is the name of what no other module of a recipe has.
const DefaultModule = "default"

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

// SubmodelOf tells which part of a model a tensor belongs to, by the last word before its layer's number that
// says so, and where that word ends. What nothing is said of is of the language model. An encoder or
// a decoder is a part where it stands first: vision towers have encoders too.
func SubmodelOf(name string) (part hub.Submodel, end int) {
	prefix, _, _ := Split(name)
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
	if part, end := SubmodelOf(name); known && part == word {
		best = max(best, end)
	}
	return best
}

// ModuleOf is the index of the module of a recipe that has the tensor; -1 if none does.
func ModuleOf(modules []string, name string) int {
	found, best, rest := -1, -1, -1
	for i, m := range modules {
		if m == DefaultModule {
			rest = i
		} else if c := claim(m, name); c > best {
			found, best = i, c
		}
	}
	if found < 0 {
		return rest
	}
	return found
}

// Describe says which modules a checkpoint has, by name, and by the prefixes that do as well.
func Describe(tensors []format.Tensor) string {
	common := make(map[hub.Submodel]string)
	for _, t := range tensors {
		part, _ := SubmodelOf(t.Name)
		prefix, _, _ := Split(t.Name)
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
	for _, s := range Runs(tensors) {
		runs = append(runs, strings.TrimSuffix(s.Prefix, "."))
	}
	if len(runs) > 0 {
		text += fmt.Sprintf("; layers go by the names %s too, and what is in no other module by %s", strings.Join(runs, ", "), DefaultModule)
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
