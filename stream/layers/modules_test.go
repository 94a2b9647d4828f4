package layers

import (
	"strings"
	"testing"

	"weld/format/hub"
)

// Which module a tensor is of, where the recipe names those.
func TestModuleOf(t *testing.T) {
	for _, test := range []struct {
		modules string
		of      map[string]string // by tensor; "" for none
	}{
		{"text_decoder vision_tower multi_modal_projector", map[string]string{
			"language_model.model.layers.3.mlp.up_proj.weight": "text_decoder", "lm_head.weight": "text_decoder", "model.norm.weight": "text_decoder",
			"vision_tower.encoder.layers.0.fc1.weight": "vision_tower", "model.visual.blocks.3.attn.qkv.weight": "vision_tower",
			"model.visual.merger.mlp.0.weight": "multi_modal_projector", "multi_modal_projector.linear_1.weight": "multi_modal_projector",
			"audio_tower.layers.0.fc1.weight": "",
		}},
		{"encoder decoder", map[string]string{
			"encoder.block.0.layer.0.SelfAttention.q.weight": "encoder", "decoder.block.0.layer.0.SelfAttention.q.weight": "decoder",
			"model.encoder.layers.1.fc1.weight": "encoder", "model.decoder.layers.1.fc1.weight": "decoder", "vision_tower.encoder.layers.0.fc1.weight": "",
		}},
		{"vision_tower vision_tower.encoder default", map[string]string{
			"vision_tower.encoder.layers.0.fc1.weight": "vision_tower.encoder", "vision_tower.post_layernorm.weight": "vision_tower", "lm_head.weight": "default",
		}},
		{"model vision_tower", map[string]string{
			"model.visual.blocks.3.attn.qkv.weight": "vision_tower", "model.layers.3.mlp.up_proj.weight": "model",
		}},
		{"language_model.model.layers default", map[string]string{
			"language_model.model.layers.0.mlp.up_proj.weight": "language_model.model.layers", "language_model.lm_head.weight": "default",
		}},
	} {
		var modules []string
		for name := range strings.FieldsSeq(test.modules) {
			modules = append(modules, name)
		}
		for tensor, want := range test.of {
			got := ""
			if i := ModuleOf(modules, tensor); i >= 0 {
				got = modules[i]
			}
			if got != want {
				t.Errorf("%s: %s is of %q, want %q", test.modules, tensor, got, want)
			}
		}
	}
}

// Which part of a model a tensor is of decides where config.json speaks of its layers.
func TestPartOf(t *testing.T) {
	for name, want := range map[string]hub.Submodel{
		"model.layers.0.mlp.up_proj.weight": hub.Text, "language_model.model.layers.0.mlp.up_proj.weight": hub.Text, "lm_head.weight": hub.Text,
		"encoder.block.0.layer.0.SelfAttention.q.weight": hub.Encoder, "model.decoder.layers.0.fc1.weight": hub.Decoder,
		"vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight": hub.Vision, "model.vision_tower.encoder.layers.0.fc1.weight": hub.Vision,
		"audio_tower.layers.0.fc1.weight": hub.Audio, "visual.merger.mlp.0.weight": hub.Projector,
	} {
		if got, _ := SubmodelOf(name); got != want {
			t.Errorf("%s is of %v, want %v", name, got, want)
		}
	}
}
