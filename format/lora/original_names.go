package lora

import "regexp"

// originalName is a name in which adapters of Flux are written by Black Forest Labs, and of Flux and Stable Diffusion 3 for ComfyUI,
// which puts diffusion_model. before it: a module as the original programs call it, and a slot. diffusers 0.42 reads both
// (_convert_bfl_flux_control_lora_to_diffusers, _convert_kohya_flux_lora_to_diffusers). Other models that ComfyUI has adapters for have
// other modules.
var originalName = regexp.MustCompile(`^(?:diffusion_model\.)?(` +
	`(?:double_blocks|single_blocks|joint_blocks)\.\d{1,3}\.[^.].*|(?:img_in|txt_in|context_embedder|x_embedder\.proj)|` +
	`(?:time_in|vector_in|guidance_in)\.(?:in|out)_layer|[ty]_embedder\.mlp\.[02]|final_layer\.(?:linear|adaLN_modulation\.1)` +
	`)\.(lora_[AB]\.weight|lora_B\.bias|lora_(?:down|up)\.weight|alpha)$`)

// originalPart is the part of a pipeline that such names are of.
const originalPart = "diffusion_model"

// parseOriginal reads such a name.
func parseOriginal(name string) (k bareKey, wrong string, ok bool) {
	match := originalName.FindStringSubmatch(name)
	if match == nil {
		return k, "", false
	}
	slot, known := diffusersSlots[match[2]]
	if !known {
		slot = kohyaSlots[match[2]]
	}
	return bareKey{part: originalPart, module: match[1], slot: slot}, "", true
}
