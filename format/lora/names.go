package lora

import (
	"strings"

	"weld/format"
)

// prefix begins every name: PEFT's wrapper around a tuner around the model.
const prefix = "base_model.model."

// role is what a tensor of an adapter does.
type role uint8

const (
	whole   role = iota // it replaces a tensor of the base
	factorA             // [r, …]
	factorB             // […, r]
)

// key is what the name of an adapter's tensor says.
type key struct {
	role      role
	module    string // that has the factor, as the base's model calls it
	target    string // the base's tensor
	embedding bool
	adapter   string // the name that the adapter has in its own tensors, or ""
	under     bool   // a whole tensor to which a product is added still
}

// parseKey reads a name of an adapter's tensor, or says why it cannot.
func parseKey(name string) (k key, kind format.Kind, wrong string) {
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return k, format.KindKey, "the name does not begin with " + prefix + ", as PEFT's do"
	}
	parts := strings.Split(rest, ".")
	for i, part := range parts {
		if i == 0 || !strings.HasPrefix(part, "lora_") {
			continue
		}
		k.module, k.target = strings.Join(parts[:i], "."), strings.Join(parts[:i], ".")+".weight"
		kind, wrong = k.factor(part, parts[i+1:])
		return k, kind, wrong
	}
	k.whole(parts)
	return k, "", ""
}

// factor reads the end of a name from the part that begins with lora_.
func (k *key) factor(part string, after []string) (kind format.Kind, wrong string) {
	leaf := ""
	switch part {
	case "lora_A", "lora_B":
		if len(after) == 0 {
			return format.KindKey, "the name ends after " + part
		}
		leaf, after = after[len(after)-1], after[:len(after)-1]
	case "lora_embedding_A", "lora_embedding_B":
		k.embedding = true
	case "lora_magnitude_vector":
		return format.KindUnsupported, "a magnitude of DoRA, which is not supported"
	default:
		return format.KindUnsupported, "nothing that weld knows of LoRA: " + clip(part)
	}
	switch {
	case leaf == "bias":
		return format.KindUnsupported, "a bias of the adapter's own, which is not supported"
	case leaf != "weight" && !k.embedding || len(after) > 1:
		return format.KindKey, "the name does not end as PEFT's do after " + part
	}
	k.adapter = strings.Join(after, ".")
	k.role = factorA
	if strings.HasSuffix(part, "B") {
		k.role = factorB
	}
	return "", ""
}

// whole reads the name of a tensor that replaces the base's. PEFT writes
// <module>.weight for modules_to_save, <module>.modules_to_save.<adapter>.weight long ago,
// and <module>.base_layer.weight for an embedding that has a product as well.
func (k *key) whole(parts []string) {
	var kept []string
	for i := 0; i < len(parts); i++ {
		switch {
		case i > 0 && parts[i] == "modules_to_save" && i+2 < len(parts):
			i++ // and the adapter's name
		case i > 0 && parts[i] == "base_layer":
			k.under = true
		default:
			kept = append(kept, parts[i])
		}
	}
	k.target = strings.Join(kept, ".")
}
