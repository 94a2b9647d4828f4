package lora

import (
	"strings"
	"testing"

	"weld/format"
)

// What PEFT 0.21 writes.
const written = `{
  "alora_invocation_tokens": null, "alpha_pattern": {}, "arrow_config": null, "auto_mapping": null,
  "base_model_name_or_path": "own/model", "bias": "none", "corda_config": null, "ensure_weight_tying": false,
  "eva_config": null, "exclude_modules": null, "fan_in_fan_out": false, "inference_mode": true,
  "init_lora_weights": true, "kasa_config": null, "layer_replication": null, "layers_pattern": null, "layers_to_transform": null,
  "loftq_config": {}, "lora_alpha": 32, "lora_bias": false, "lora_dropout": 0.05, "megatron_config": null,
  "megatron_core": "megatron.core", "modules_to_save": null, "peft_type": "LORA", "peft_version": "0.21.2", "qalora_group_size": 16,
  "r": 16, "rank_pattern": {}, "revision": null, "target_modules": ["q_proj", "v_proj"], "target_parameters": null,
  "task_type": "CAUSAL_LM", "trainable_token_indices": null, "use_dora": false, "use_qalora": false, "use_rslora": false
}`

func TestConfig(t *testing.T) {
	for name, c := range map[string]struct {
		raw   string
		rank  int64
		scale float64
	}{
		"as written":        {written, 16, 2},
		"least":             {`{"peft_type":"LORA"}`, 8, 1},
		"names are exact":   {`{"peft_type":"LORA","R":4,"Lora_Alpha":4,"USE_DORA":true}`, 8, 1},
		"rslora":            {`{"peft_type":"LORA","r":16,"lora_alpha":2,"use_rslora":true}`, 16, 0.5},
		"fraction":          {`{"peft_type":"LORA","r":2,"lora_alpha":0.5}`, 2, 0.25},
		"alpha 0":           {`{"peft_type":"LORA","lora_alpha":0}`, 8, 0},
		"nulls":             {`{"peft_type":"LORA","rank_pattern":null,"alpha_pattern":null,"bias":null,"use_rslora":null,"fan_in_fan_out":null}`, 8, 1},
		"biases":            {`{"peft_type":"LORA","bias":"lora_only"}`, 8, 1},
		"harmless beginner": {`{"peft_type":"LORA","init_lora_weights":"gaussian"}`, 8, 1},
		"unknown":           {`{"peft_type":"LORA","new":{"a":[1,2]}}`, 8, 1},
		"space":             {" {\n\"peft_type\" : \"LORA\" , \"r\" : 4 }\n", 4, 2},
		"by name":           {`{"peft_type":"LORA","rank_pattern":{"q":2}}`, 2, 4},
		"first wins":        {`{"peft_type":"LORA","rank_pattern":{".*":4,"q":2}}`, 4, 2},
		"by path":           {`{"peft_type":"LORA","rank_pattern":{"layers.1.q":2,"layers.0.q":4}}`, 4, 2},
		"anchored":          {`{"peft_type":"LORA","rank_pattern":{"^layers.0.q":2,"^model.layers.0.q":4}}`, 4, 2},
		"begun at a dot":    {`{"peft_type":"LORA","rank_pattern":{"ayers.0.q":2}}`, 8, 1},
		"not the end":       {`{"peft_type":"LORA","rank_pattern":{"layers.0":2}}`, 8, 1},
		"either":            {`{"peft_type":"LORA","rank_pattern":{"k|q":2}}`, 2, 4},
		"last value":        {`{"peft_type":"LORA","rank_pattern":{"q":2,"q":4}}`, 4, 2},
		"both patterns":     {`{"peft_type":"LORA","rank_pattern":{"q":2},"alpha_pattern":{"q":1.5}}`, 2, 0.75},
	} {
		config, err := parseConfig("a", []byte(c.raw))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		const module = "model.layers.0.q"
		if r, s := config.rankOf(module), config.scale(module); r != c.rank || s != c.scale {
			t.Errorf("%s: rank %d, scale %v, want %d, %v", name, r, s, c.rank, c.scale)
		}
	}
}

// A name that is no pattern for itself is still found.
func TestExactName(t *testing.T) {
	config, err := parseConfig("a", []byte(`{"peft_type":"LORA","rank_pattern":{"a+b":2}}`))
	if err != nil || config.rankOf("a+b") != 2 || config.rankOf("x.a+b") != 8 {
		t.Errorf("%v, %v", config, err)
	}
}

func TestConfigRefused(t *testing.T) {
	for name, c := range map[string]struct {
		raw  string
		kind format.Kind
		says string
	}{
		"empty":            {``, format.KindJSON, "not one JSON object"},
		"cut short":        {written[:300], format.KindJSON, "not one JSON object"},
		"array":            {`[]`, format.KindJSON, "not one JSON object"},
		"null":             {`null`, format.KindJSON, "not one JSON object"},
		"two":              {`{"peft_type":"LORA"}{}`, format.KindJSON, "not one JSON object"},
		"deep":             {`{"peft_type":` + strings.Repeat("[", 20000), format.KindJSON, "not one JSON object"},
		"not a number":     {`{"peft_type":"LORA","r":NaN}`, format.KindJSON, "not one JSON object"},
		"long":             {`{"peft_type":"LORA"}` + strings.Repeat(" ", maxConfig), format.KindJSON, "over the limit"},
		"no type":          {`{"r":8}`, format.KindKey, "no peft_type"},
		"type is 1":        {`{"peft_type":1}`, format.KindType, "no text: 1"},
		"another type":     {`{"peft_type":"BOFT"}`, format.KindUnsupported, "peft_type \"BOFT\", which weld does not apply; it does LORA"},
		"replication":      {`{"peft_type":"LORA","layer_replication":[0,4]}`, format.KindType, "layer_replication is nothing that PEFT writes: [0,4]"},
		"tokens":           {`{"peft_type":"LORA","trainable_token_indices":{"embed":"all"}}`, format.KindType, "trainable_token_indices is nothing"},
		"experts":          {`{"peft_type":"LORA","target_parameters":"mlp"}`, format.KindType, "target_parameters is nothing"},
		"feeding":          {`{"peft_type":"IA3","feedforward_modules":"("}`, format.KindUnsupported, "no regular expression"},
		"cut AdaLoRA":      {`{"peft_type":"ADALORA","rank_pattern":{"q":[true]}}`, format.KindUnsupported, "whose ranks were cut"},
		"lower case":       {`{"peft_type":"lora"}`, format.KindUnsupported, `"lora"`},
		"rank 0":           {`{"r":0}`, format.KindType, "r is no rank from 1"},
		"rank -1":          {`{"r":-1}`, format.KindType, "no rank"},
		"rank 1.5":         {`{"r":1.5}`, format.KindType, "no rank"},
		"huge rank":        {`{"r":65537}`, format.KindType, "no rank"},
		"rank over 64 bit": {`{"r":99999999999999999999}`, format.KindType, "no rank"},
		"rank is text":     {`{"r":"8"}`, format.KindType, "no rank"},
		"rank is null":     {`{"r":null}`, format.KindType, "no rank"},
		"alpha is text":    {`{"lora_alpha":"NaN"}`, format.KindType, "no finite number"},
		"alpha is true":    {`{"lora_alpha":true}`, format.KindType, "no finite number"},
		"alpha too large":  {`{"lora_alpha":1e400}`, format.KindType, "no finite number"},
		"alpha over f32":   {`{"lora_alpha":1e39}`, format.KindType, "no finite number"},
		"rslora is 1":      {`{"use_rslora":1}`, format.KindType, "neither true nor false"},
		"fan is text":      {`{"fan_in_fan_out":"false"}`, format.KindType, "neither true nor false"},
		"bias":             {`{"bias":"some"}`, format.KindUnsupported, `bias is "some"`},
		"bias is 1":        {`{"bias":1}`, format.KindUnsupported, "bias is 1"},
		"ranks are a list": {`{"rank_pattern":["q"]}`, format.KindType, "no object"},
		"ranks are text":   {`{"rank_pattern":"q"}`, format.KindType, "no object"},
		"rank of a module": {`{"rank_pattern":{"q":0}}`, format.KindType, `rank_pattern of "q"`},
		"alpha of one":     {`{"alpha_pattern":{"q":"1"}}`, format.KindType, `alpha_pattern of "q"`},
		"nested":           {`{"alpha_pattern":{"q":{"a":1}}}`, format.KindType, `alpha_pattern of "q"`},
		"no pattern":       {`{"alpha_pattern":{"(":1}}`, format.KindUnsupported, "no regular expression"},
		"looks ahead":      {`{"rank_pattern":{"(?!x)q":1}}`, format.KindUnsupported, "no regular expression"},
		"activated":        {`{"alora_invocation_tokens":[1,2]}`, format.KindUnsupported, "cannot be merged"},
		"pissa":            {`{"init_lora_weights":"pissa_niter_4"}`, format.KindUnsupported, "convert the adapter"},
		"olora":            {`{"init_lora_weights":"OLoRA"}`, format.KindUnsupported, "convert the adapter"},
	} {
		raw := c.raw
		if strings.HasPrefix(raw, `{"`) && !strings.Contains(raw, "peft_type") && name != "no type" {
			raw = `{"peft_type":"LORA",` + raw[1:]
		}
		config, err := parseConfig("dir/a.safetensors", []byte(raw))
		if err == nil {
			t.Errorf("%s: read as %+v", name, config)
			continue
		}
		if format.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), "dir/a.safetensors: adapter_config.json: ") || len(err.Error()) > 600 {
			t.Errorf("%s: kind %q, want %q with %q: %v", name, format.KindOf(err), c.kind, c.says, err)
		}
	}
}

// Neither configurations nor names panic.
func FuzzParse(f *testing.F) {
	f.Add([]byte(written), prefix+"m.q.lora_A.default.weight")
	f.Add([]byte(`{"peft_type":"LORA","rank_pattern":{"q":1,"(":2}}`), prefix+"m.modules_to_save.x.base_layer.weight")
	f.Fuzz(func(t *testing.T, raw []byte, name string) {
		if c, err := parseConfig("a", raw); err == nil {
			if r := c.rankOf(name); r < 1 || r > maxRank {
				t.Errorf("rank %d", r)
			}
			c.scale(name)
		} else if format.KindOf(err) == "" {
			t.Errorf("%v has no kind", err)
		}
		parseKey(name)
	})
}
