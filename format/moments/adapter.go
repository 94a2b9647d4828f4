package moments

import (
	"fmt"
	"os"
	"path/filepath"

	"weld/format"
	"weld/format/lora"
)

// This file tells trainings of an adapter: their optimizers have moments of lora_A and lora_B, and none of a model's weights. The moments of two
// factors say nothing of single elements of their product.

// noImportance says what to do instead.
const noImportance = ", and no importance of the weights that it changes: take gradients of the model with the adapter applied, or score: magnitude, which needs none"

// adapterFiles are those that PEFT writes.
var adapterFiles = []string{"adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"}

// ofAdapter refuses numbered parameters beside an adapter, and no model.
func (s *states) ofAdapter(dir string) error {
	for _, name := range adapterFiles {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return s.fault(format.KindUnsupported, "", "what was trained beside it is an adapter (%s): it has moments of the %d parameters of the adapter"+noImportance, name, len(s.params))
		}
	}
	return nil
}

// checkAdapter refuses parameters that are all an adapter's, and says so of some that are.
func (s *states) checkAdapter(names []string) error {
	count, example := 0, ""
	for _, name := range names {
		if lora.Adds(name) {
			if count++; count == 1 {
				example = name
			}
		}
	}
	switch {
	case count == len(names):
		return s.fault(format.KindUnsupported, example, "an adapter was trained: it has moments of the %d parameters of the adapter"+noImportance, count)
	case count > 0:
		s.notes = append(s.notes, fmt.Sprintf("%s: %d of %d parameters are an adapter's, such as %s: what they change has no second moment", s.path, count, len(names), example))
	}
	return nil
}
