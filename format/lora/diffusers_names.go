package lora

import (
	"regexp"
)

// diffusersName is a name that diffusers 0.42 writes or reads in pytorch_lora_weights.safetensors: a component of a pipeline, a
// module in it, and a slot.
var diffusersName = regexp.MustCompile(`^(unet|transformer(?:_2)?|text_encoder(?:_[23])?)\.(.+)\.(` +
	`lora_[AB]\.weight|lora_B\.bias|lora\.(?:down|up)\.weight|lora_linear_layer\.(?:down|up)\.weight|lora_magnitude_vector|lora_magnitude_vector\.weight|alpha)$`)

// processorName is one of before diffusers 0.17, whose factors belonged to the attention's processor.
var processorName = regexp.MustCompile(`^(unet)\.(.+)\.processor\.(to_q|to_k|to_v|to_out)_lora\.(down|up)\.weight$`)

// diffusersSlots are the ends of names, and what they are called here.
var diffusersSlots = map[string]string{
	"lora_A.weight": "lora_A", "lora_B.weight": "lora_B", "lora_B.bias": biasSlot,
	"lora.down.weight": "lora_A", "lora.up.weight": "lora_B",
	"lora_linear_layer.down.weight": "lora_A", "lora_linear_layer.up.weight": "lora_B",
	"lora_magnitude_vector": "lora_magnitude_vector", "lora_magnitude_vector.weight": "lora_magnitude_vector",
	"alpha": "alpha",
	"down":  "lora_A", "up": "lora_B",
}

// parseDiffusers reads such a name.
func parseDiffusers(name string) (k bareKey, wrong string, ok bool) {
	if match := processorName.FindStringSubmatch(name); match != nil {
		module := match[2] + "." + match[3]
		if match[3] == "to_out" {
			module += ".0" // of to_out's modules the linear layer, before the dropout
		}
		return bareKey{part: match[1], module: module, slot: diffusersSlots[match[4]]}, "", true
	}
	match := diffusersName.FindStringSubmatch(name)
	if match == nil {
		return k, "", false
	}
	return bareKey{part: match[1], module: match[2], slot: diffusersSlots[match[3]]}, "", true
}
