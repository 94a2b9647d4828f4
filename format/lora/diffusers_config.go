package lora

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"weld/format"
)

// headerConfig is the member of a file's metadata in which diffusers 0.42 keeps the LoraConfig of each component, its keys
// behind the component's name: {"unet.r": 4, "unet.lora_alpha": 8, "text_encoder.r": …}. What it leaves out is PEFT's default, as in
// an adapter_config.json.
const headerConfig = "lora_adapter_metadata"

// declared has such configurations give the scales of their components.
func (m *matching) declared(found map[bareModule]*moduleSite) {
	text, ok := format.Metadata(m.adapter)[headerConfig]
	if !ok {
		return
	}
	var members map[string]json.RawMessage
	if len(text) > maxConfig || json.Unmarshal([]byte(text), &members) != nil {
		m.faults = append(m.faults, fault{none, &format.Error{Path: m.adapter.Path(), Kind: format.KindJSON, Detail: headerConfig + ", in the metadata of its header, is not one JSON object that weld reads"}})
		return
	}
	configs := make(map[string]*config)
	for _, at := range slices.SortedFunc(maps.Keys(found), func(a, b bareModule) int { return strings.Compare(a.part+"."+a.module, b.part+"."+b.module) }) {
		s := found[at]
		if s == nil || has(s.slots, "dora_scale") || strings.HasPrefix(at.part, "lora_") || at.part == "lycoris" {
			continue
		}
		c, known := configs[at.part]
		if !known {
			c = m.declaredFor(at.part, members)
			configs[at.part] = c
		}
		if c != nil {
			m.scaleBy(c, s, at.module)
		}
	}
}

// declaredFor reads the configuration of one component; nil is none, or one that was refused.
func (m *matching) declaredFor(part string, members map[string]json.RawMessage) *config {
	own := make(map[string]json.RawMessage)
	for name, value := range members {
		if key, ok := strings.CutPrefix(name, part+"."); ok {
			own[key] = value
		}
	}
	if len(own) == 0 {
		return nil
	}
	if _, said := own["peft_type"]; !said {
		own["peft_type"] = json.RawMessage(`"` + methodLora + `"`)
	}
	raw, err := json.Marshal(own)
	if err == nil {
		var c *config
		if c, err = parseConfigNamed(m.adapter.Path(), headerConfig+" of "+part, raw); err == nil {
			return c
		}
	}
	m.faults = append(m.faults, fault{none, err})
	return nil
}

// scaleBy gives a module the scale of its component's configuration, with which its tensors must agree.
func (m *matching) scaleBy(c *config, s *moduleSite, module string) {
	f := m.config.own[s.module]
	alpha, twice := s.slots["alpha"]
	magnitude, dora := s.slots["lora_magnitude_vector"]
	switch {
	case c.method != methodLora:
		m.fault(s.first, format.KindUnsupported, "%s says peft_type %q, whose tensors have other names", headerConfig, c.method)
	case len(c.parameters)+len(c.replication)+len(c.rows) > 0:
		m.fault(s.first, format.KindUnsupported, "%s says target_parameters, layer_replication or trainable_token_indices, which weld applies from PEFT's own files alone", headerConfig)
	case twice:
		m.fault(alpha, format.KindUnsupported, "an alpha beside a configuration of the component (%s): diffusers does not allow both", headerConfig)
	case c.rankOf(module) != f.rank:
		m.fault(s.first, format.KindShape, "a rank of %d, but %s gives %d", f.rank, headerConfig, c.rankOf(module))
	case dora && !c.dora:
		m.fault(magnitude, format.KindKey, "a magnitude (DoRA), but %s does not say use_dora", headerConfig)
	case !dora && c.dora:
		m.fault(s.first, format.KindKey, "there is no lora_magnitude_vector beside it, but %s says use_dora", headerConfig)
	default:
		f.scale = c.scale(module)
		m.config.own[s.module] = f
	}
}
