package plan

import (
	"fmt"
	"strings"

	"weld/format"
)

// converted is what the output of a conversion says about itself: what its model says, and what has been done to it. A merge that made
// the model is still what made its values; of values that are decoded, the rest may speak of their codes, and of GGUF it is shortened.
func (p *planner) converted(from identity) map[string]string {
	type conversion struct {
		Input    identity `json:"input"`
		DType    string   `json:"dtype,omitempty"`
		Quantize string   `json:"quantize,omitempty"`
		Only     []string `json:"only,omitempty"`
		Drop     []string `json:"drop,omitempty"`
		Rename   []string `json:"rename,omitempty"`
	}
	in, c := p.Models[0], p.options.Conversion
	said := make(map[string]string)
	for key, text := range format.Metadata(in.Checkpoint) {
		if len(in.decoded) == 0 && in.inGGUF() == nil || key == "format" || strings.HasPrefix(key, "weld.") {
			said[key] = text
		}
	}
	if said["format"] == "" {
		said["format"] = "pt"
	}
	said[versionKey] = p.options.Version
	if c.Made {
		return said
	}
	done := conversion{Input: from, Quantize: p.Recipe.Params.Text(Quantize.Key), Only: texts(c.Only), Drop: texts(c.Drop), Rename: texts(c.Rename)}
	if p.Recipe.DType != format.Invalid {
		done.DType = p.Recipe.DType.Torch()
	}
	said["weld.conversion"] = marshalled(done)
	return said
}

// texts are expressions as they were written.
func texts[T fmt.Stringer](list []T) (all []string) {
	for _, x := range list {
		all = append(all, x.String())
	}
	return all
}
