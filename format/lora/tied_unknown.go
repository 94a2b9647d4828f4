package lora

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"weld/format"
	"weld/format/hub"
	"weld/format/names"
)

// numbered is the name of a tensor inside a layer.
var numbered = regexp.MustCompile(`\.[0-9]+\.`)

// tiedUnknown refuses an adapter that changes the embedding of a model that may tie an output layer to it by names
// that weld does not know (Mamba, T5, BART, masked language models): what would become of that layer is not clear.
func (m *matching) tiedUnknown(at *names.Finder, base format.Checkpoint) error {
	config, err := format.Beside(base).Read(hub.ConfigName, hub.MaxSidecar)
	if err != nil {
		return err
	}
	var c struct {
		Architectures []string `json:"architectures"`
	}
	said, tied := declaredTied(config)
	vocabulary, known := hub.VocabSize(config)
	if json.Unmarshal(config, &c) != nil || !known || said && !tied {
		return nil
	}
	if !headed(config) && !strings.Contains(strings.Join(c.Architectures, " "), "ForMaskedLM") {
		return nil
	}
	over := func(t format.Tensor) bool { // the vocabulary; a width inside a layer may be the same number
		return len(t.Shape) == 2 && t.Shape[0] == vocabulary && !numbered.MatchString(t.Name)
	}
	matrices := 0
	for _, t := range base.Tensors() {
		if over(t) {
			matrices++
		}
	}
	for _, t := range base.Tensors() {
		if matrices != 1 || !over(t) {
			continue
		}
		i, _ := base.Find(t.Name)
		if len(m.touching(at, i)) > 0 {
			return &format.Error{Path: m.adapter.Path(), Tensor: t.Name, Kind: format.KindUnsupported,
				Detail: fmt.Sprintf("the adapter changes the embedding of %s, which ties an output layer to it by a name that weld does not know: merge the adapter in PEFT, with tie_word_embeddings false", base.Path())}
		}
	}
	return nil
}
