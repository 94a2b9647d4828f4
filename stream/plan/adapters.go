package plan

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"weld/format"
	"weld/format/hub"
	"weld/format/llamacpp"
	"weld/format/lora"
)

// bareAdapters refuses adapters in the place of models: factors that are averaged one by one
// give no average of their products.
func (p *planner) bareAdapters() (problems []error) {
	if p.convertsFile() {
		return nil
	}
	for i := range p.Opened {
		s := &p.Opened[i]
		if s.Role == roleImportance {
			continue
		}
		if inWrapper(s.Checkpoint) {
			continue
		}
		whose, ok := lora.Adapter(s.Checkpoint)
		if file := s.inGGUF(); file != nil && file == s.Checkpoint && llamacpp.IsAdapter(file) {
			whose, ok = "in GGUF", true
		}
		if ok && p.options.Conversion != nil {
			problems = append(problems, &format.Error{Path: s.Path, Kind: format.KindUnsupported, Detail: fmt.Sprintf(
				"an adapter (%s) by itself is converted as a file: name an output such as adapter.safetensors; or name the base that it was trained on with it, as in %s+%s",
				whose, trainedOn(s), s.Path)})
		} else if ok {
			problems = append(problems, &format.Error{Path: s.Path, Kind: format.KindUnsupported, Detail: fmt.Sprintf(
				"an adapter (%s) in the place of a model: merging the factors of adapters does not merge what they do; name the base that it was trained on with it, as in %s+%s",
				whose, trainedOn(s), s.Path)})
		}
	}
	return problems
}

// inWrapper reports whether a checkpoint has the names of PEFT's wrapper and is a whole model: nothing that an adapter adds, embeddings, and other matrices.
func inWrapper(c format.Checkpoint) bool {
	const wrapper = "base_model.model."
	embedded, others := false, false
	for _, t := range c.Tensors() {
		name, in := strings.CutPrefix(t.Name, wrapper)
		if !in || lora.Adds(name) {
			return false
		}
		is := slices.ContainsFunc(hub.TiedHeads, func(tied hub.TiedHead) bool { return name == tied.Embedding })
		head := slices.ContainsFunc(hub.TiedHeads, func(tied hub.TiedHead) bool { return name == tied.Head })
		embedded = embedded || is
		others = others || !is && !head && len(t.Shape) > 1
	}
	return embedded && others
}

// trainedOn is the base that an adapter's configuration names.
func trainedOn(s *Input) string {
	beside := format.Beside(s.Checkpoint)
	if !beside.Exists() {
		beside = format.Directory(filepath.Dir(s.Checkpoint.Path()))
	}
	var config struct {
		Base string `json:"base_model_name_or_path"`
	}
	raw, err := beside.Read(lora.ConfigName, hub.MaxSidecar)
	if err != nil || json.Unmarshal(raw, &config) != nil || config.Base == "" {
		return "BASE"
	}
	return config.Base
}
