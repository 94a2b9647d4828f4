package plan

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	"weld/format"
	"weld/format/hub"
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
		if whose, ok := lora.Adapter(s.Checkpoint); ok && p.options.Conversion != nil {
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
