package lora

import (
	"slices"
	"strings"

	"weld/format"
)

// prefix begins every name: PEFT's wrapper around a tuner around the model.
const prefix = "base_model.model."

// What stands in a name where an adapter's tensor has its place in a module: a slot. Its tensors are
// parameters, or modules with a weight, and maybe a bias, of their own.
var slots = map[string]bool{ // whether it is a module
	"lora_A": true, "lora_B": true, "lora_E": false, "ranknum": false,
	"lora_embedding_A": false, "lora_embedding_B": false, "lora_magnitude_vector": false,
	"hada_w1_a": false, "hada_w1_b": false, "hada_t1": false, "hada_w2_a": false, "hada_w2_b": false, "hada_t2": false,
	"lokr_w1": false, "lokr_w1_a": false, "lokr_w1_b": false, "lokr_w2": false, "lokr_w2_a": false, "lokr_w2_b": false, "lokr_t2": false,
	"ia3_l": false, "vera_lambda_b": false, "vera_lambda_d": false, "trainable_tokens_delta": false,
}

// strange begin the slots of what PEFT knows and weld does not, or does not yet.
var strange = []string{"lora_", "hada_", "lokr_", "ia3_", "vera_", "oft_", "boft_", "hra_", "vblora_", "fourierft_", "c3a_", "randlora_", "shira_", "miss_", "bone_", "road_", "delora_", "gralora_", "waveft_", "trainable_tokens_", "adaption_", "prompt_"}

// key is what the name of an adapter's tensor says.
type key struct {
	module  string // that has the slot, as the base's model calls it
	depth   int    // how many wrappers lie around it: those of parameters of one module are nested
	slot    string // "" for a tensor that replaces the base's
	target  string // what it replaces
	adapter string // the name that the adapter has in its own tensors, or ""
	under   bool   // a whole tensor to which something is added still
}

// parseKey reads a name of an adapter's tensor, or says why it cannot.
func parseKey(name string) (k key, kind format.Kind, wrong string) {
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok {
		if slot, shared := strings.CutPrefix(name, "base_model."); shared {
			slot, k.adapter, _ = strings.Cut(slot, ".")
			if slot == "vera_A" || slot == "vera_B" {
				k.slot = slot
				return k, "", ""
			}
		}
		return k, format.KindKey, "the name does not begin with " + prefix + ", as PEFT's do"
	}
	parts := strings.Split(rest, ".")
	for i, part := range parts {
		if i == 0 {
			continue
		}
		if _, ok := slots[part]; ok {
			k.wrapped(parts[:i])
			kind, wrong = k.slotted(part, parts[i+1:])
			return k, kind, wrong
		}
	}
	k.whole(parts)
	return k, "", ""
}

// strangeIn finds the part of a name that only names of adapters have, but none that weld knows.
func strangeIn(name string) (part string, ok bool) {
	for _, part := range strings.Split(name, ".") {
		if slices.ContainsFunc(strange, func(begin string) bool { return strings.HasPrefix(part, begin) }) {
			return part, true
		}
	}
	return "", false
}

// wrapped reads a module's name, from which the wrappers inside are taken.
func (k *key) wrapped(parts []string) {
	var kept []string
	for i, part := range parts {
		switch {
		case i > 0 && part == "base_layer":
			k.depth++
		case i > 0 && part == "token_adapter":
		default:
			kept = append(kept, part)
		}
	}
	k.module = strings.Join(kept, ".")
}

// slotted reads the end of a name behind its slot: the adapter's name, perhaps, and what of a
// module it is.
func (k *key) slotted(part string, after []string) (kind format.Kind, wrong string) {
	k.slot = part
	if slices.Contains(after, "") {
		return format.KindKey, "the name does not end as PEFT's do after " + part
	}
	leaf := ""
	if n := len(after); n > 0 && (slots[part] || after[n-1] == "weight") {
		leaf, after = after[n-1], after[:n-1]
	}
	switch {
	case leaf == "bias" && part == "lora_B":
		k.slot = biasSlot
	case leaf == "bias":
		return format.KindUnsupported, "a bias of " + part + ", which PEFT does not write"
	case leaf != "" && leaf != "weight" && part != "lora_A" && part != "lora_B":
		return format.KindKey, "the name does not end as PEFT's do after " + part
	case leaf != "" && leaf != "weight": // AdaLoRA's are parameters, so that this is the adapter's name
		after = append(after, leaf)
	}
	if len(after) > 1 {
		return format.KindKey, "the name does not end as PEFT's do after " + part
	}
	k.adapter = strings.Join(after, ".")
	return "", ""
}

// biasSlot is the slot of lora_B's bias.
const biasSlot = "lora_B.bias"

// whole reads the name of a tensor that replaces the base's. PEFT writes
// <module>.weight for modules_to_save, <module>.modules_to_save.<adapter>.weight long ago,
// <module>.base_layer.weight for an embedding that has a product as well, and biases, and
// <module>.ln_tuning_layers.weight for a norm.
func (k *key) whole(parts []string) {
	var kept []string
	for i := 0; i < len(parts); i++ {
		switch {
		case i > 0 && (parts[i] == "modules_to_save" || parts[i] == "ln_tuning_layers") && i+2 < len(parts):
			i++ // and the adapter's name
		case i > 0 && parts[i] == "ln_tuning_layers":
		case i > 0 && parts[i] == "base_layer":
			k.under = true
		default:
			kept = append(kept, parts[i])
		}
	}
	k.target = strings.Join(kept, ".")
}
