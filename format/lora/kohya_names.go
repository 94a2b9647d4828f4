package lora

import (
	"regexp"
	"strings"
)

// kohyaName is a name of kohya-ss/sd-scripts (networks/lora.py, lora_flux.py, sd3) or of LyCORIS 4.1: the part of the
// pipeline, the module with _ for its dots, and what of the module's adapter it is. te is the one text encoder of SD 1 and 2; te1 and
// te2 are those of SDXL, te1 and te3 CLIP and T5 of Flux, te1 to te3 those of SD 3. lycoris is what LyCORIS calls a
// module that it wraps by itself.
var kohyaName = regexp.MustCompile(`^(lora_unet|lora_te[123]?|lora_transformer|lycoris)_([^.]+)\.(.+)$`)

// kohyaSlots are the ends of names, and what they are called here.
var kohyaSlots = map[string]string{
	"lora_down.weight": "lora_A", "lora_up.weight": "lora_B", "lora_mid.weight": "lora_mid",
	"hada_w1_a": "hada_w1_a", "hada_w1_b": "hada_w1_b", "hada_t1": "hada_t1",
	"hada_w2_a": "hada_w2_a", "hada_w2_b": "hada_w2_b", "hada_t2": "hada_t2",
	"lokr_w1": "lokr_w1", "lokr_w1_a": "lokr_w1_a", "lokr_w1_b": "lokr_w1_b",
	"lokr_w2": "lokr_w2", "lokr_w2_a": "lokr_w2_a", "lokr_w2_b": "lokr_w2_b", "lokr_t2": "lokr_t2",
	"diff": "diff", "diff_b": "diff_b", "w_norm": "w_norm", "b_norm": "b_norm",
	"alpha": "alpha", "dora_scale": "dora_scale",
}

// parseKohya reads such a name.
func parseKohya(name string) (k bareKey, wrong string, ok bool) {
	match := kohyaName.FindStringSubmatch(name)
	if match == nil {
		return k, "", false
	}
	slot, known := kohyaSlots[match[3]]
	if !known {
		return k, "nothing that weld applies of these programs' adapters: " + clip(match[3]), kohya.name.MatchString(name)
	}
	return bareKey{part: match[1], module: match[2], flat: true, slot: slot}, "", true
}

// flattened is a module's name as kohya-ss and LyCORIS write it.
func flattened(module string) string { return strings.ReplaceAll(module, ".", "_") }
