package quant

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"weld/format"
)

// This file looks at what families have left, and at what they were told: beside weights that are decoded, it may say that they are not what
// they were decoded to.

// leftBeside are how names end that belong to a weight, and how the weight's own name does instead.
var leftBeside = []struct{ end, weight string }{
	{"_scale", ""}, {"_scale_inv", ""}, {"_scale_2", ""}, {"_global_scale", ""}, {"_zero_point", ""}, {"_scale_and_zero", ""},
	{".pre_quant_scale", ".weight"}, // ModelOpt: the inputs are multiplied with it
}

// WeightsOf are the weights that a tensor is said to belong to by its name, if they are stored as codes.
func WeightsOf(name string) (weights []string) {
	for _, beside := range leftBeside {
		if head, ends := strings.CutSuffix(name, beside.end); ends {
			weights = append(weights, head+beside.weight)
		}
	}
	return weights
}

// checkLeft refuses a tensor that belongs to a weight, and that its family has not asked for.
func (s *search) checkLeft() error {
	var names map[string]bool
	for i, t := range s.Tensors() {
		if s.taken[i] || len(s.weights) == 0 {
			continue
		}
		for _, name := range WeightsOf(t.Name) {
			if names == nil {
				names = make(map[string]bool, len(s.weights))
				for _, w := range s.weights {
					names[w.name] = true
				}
			}
			if names[name] {
				return s.refuse(i, "it belongs to %q, whose values are those of a scheme that has no such companion: weld does not know what it says of them", name)
			}
		}
	}
	return nil
}

// onceDeclared are keys that say how codes are read, and that families take from wherever they are said.
var onceDeclared = []string{"weight_block_size", "checkpoint_format", "format", "version", "bits", "group_size", "q_group_size", "desc_act", "quant_algo"}

// checkConfigs refuses configurations of one method that contradict each other, where weights were decoded by them.
func (s *search) checkConfigs() error {
	if len(s.weights) == 0 {
		return nil
	}
	said := make(map[string]json.RawMessage)
	for _, config := range s.configs {
		for _, key := range onceDeclared {
			value, ok := config[key]
			if !ok || string(value) == "null" {
				continue
			}
			at := string(config["quant_method"]) + " " + key
			if first, again := said[at]; again && !bytes.Equal(first, value) {
				return &format.Error{Path: s.Path(), Kind: format.KindScheme, Err: fmt.Errorf("what is declared contradicts itself: %s is %s, and %s in another place", key, first, value)}
			}
			said[at] = value
		}
	}
	return nil
}
