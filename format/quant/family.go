package quant

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"weld/format"
	"weld/format/hub"
)

// weight is one tensor of a model as it is shown, and how its values are stored.
type weight struct {
	scheme  string
	name    string
	shape   []int64
	plain   format.DType // that a plain checkpoint of the model has it in
	codes   int          // the tensor in whose place it stands
	hides   []int        // others that belong to it
	decoder decoder
}

// families find the weights that they decode, in this order. Each has a file, and looks at what those before it left.
var families = []func(*search) error{findBlocks, findCompressed, findModelOpt, findFloat8, findMXFP4, findOriginalMXFP4, findGPTQ, findAWQ, findBitsAndBytes, findHQQ, findQuanto, findTorchAO}

// find finds the weights of a checkpoint that weld decodes, and the tensors that are of a key-value cache.
func find(c format.Checkpoint, d Declared) (weights []weight, cache []int, err error) {
	tensors := c.Tensors()
	declared, _ := d.list()
	if len(declared) == 0 && !slices.ContainsFunc(tensors, func(t format.Tensor) bool { return IsCode(t.DType) }) {
		return nil, nil, nil
	}
	s := &search{Checkpoint: c, model: modelType(d.Config), taken: make([]bool, len(tensors)), weights: make([]weight, 0, countCodes(tensors))}
	for _, raw := range [][]byte{d.Config, d.QuantConfig} {
		for _, q := range hub.Quantizations(raw) {
			var config map[string]json.RawMessage
			if json.Unmarshal([]byte(q.Value), &config) == nil {
				s.configs = append(s.configs, config)
			}
		}
	}
	for _, look := range slices.Concat(families, []func(*search) error{(*search).checkConfigs, (*search).checkLeft}) {
		if err := look(s); err != nil {
			return nil, nil, err
		}
	}
	return s.weights, s.findCache(), nil
}

// countCodes is how many tensors may be codes.
func countCodes(tensors []format.Tensor) (n int) {
	for _, t := range tensors {
		if IsCode(t.DType) {
			n++
		}
	}
	return n
}

// endings are those of a list that a name of the checkpoint has: the others need not be looked for at every weight.
func (s *search) endings(of []string) (present []string) {
	for _, end := range of {
		if slices.ContainsFunc(s.Tensors(), func(t format.Tensor) bool { return strings.HasSuffix(t.Name, end) }) {
			present = append(present, end)
		}
	}
	return present
}

// search is a checkpoint that families look through.
type search struct {
	format.Checkpoint
	configs []map[string]json.RawMessage // what is declared
	model   string                       // the model_type of config.json
	taken   []bool                       // tensors that a weight has
	weights []weight
}

// tensor finds one that no weight has.
func (s *search) tensor(name string) (i int, t format.Tensor, ok bool) {
	if i, ok = s.Find(name); !ok || s.taken[i] {
		return -1, format.Tensor{}, false
	}
	return i, s.Tensors()[i], true
}

// add takes a weight's tensors.
func (s *search) add(w weight) {
	s.taken[w.codes] = true
	for _, i := range w.hides {
		s.taken[i] = true
	}
	s.weights = append(s.weights, w)
}

// declared reads a key of what is declared into v, and reports whether it is there.
func (s *search) declared(key string, v any) bool {
	for _, config := range s.configs {
		if raw, ok := config[key]; ok && json.Unmarshal(raw, v) == nil {
			return true
		}
	}
	return false
}

// turnsLayers reports whether a weight is of a layer of the kind that [Turned] tells of.
func (s *search) turnsLayers(name string) bool { return turnsLayer(s.model, name) }

// turnsLayer reports whether a model's weight is of a layer that holds its matrix the other way round than Linear does: transformers'
// Conv1D [in, out]. bitsandbytes and GPTQ store that as [out, in].
func turnsLayer(model, name string) bool {
	return slices.Contains([]string{"gpt2", "openai-gpt", "imagegpt", "decision_transformer", "clvp"}, model) &&
		slices.ContainsFunc([]string{"c_attn", "q_attn", "c_proj", "c_fc"}, func(layer string) bool { return strings.HasSuffix(name, "."+layer+".weight") })
}

// Turned tells of the weights of a model, by its config.json, whether they are of a layer that holds its matrix the other way round than
// Linear does: transformers' Conv1D [in, out], which no scheme of Linear modules is for.
func Turned(config []byte) func(name string) bool {
	model := modelType(config)
	return func(name string) bool { return turnsLayer(model, name) }
}

// modelType is that of a config.json; "" if it has none.
func modelType(config []byte) string {
	var c struct {
		Model string `json:"model_type"`
	}
	if json.Unmarshal(config, &c) != nil {
		return ""
	}
	return c.Model
}

// refuse is the error for a weight whose files do not say enough.
func (s *search) refuse(i int, text string, args ...any) error {
	return &format.Error{Path: s.Path(), Tensor: s.Tensors()[i].Name, Kind: format.KindScheme, Err: fmt.Errorf(text, args...)}
}
