package lora

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// PEFT 0.21 does not tie GPT-2's output layer in spite of ensure_weight_tying, and its adapter holds nothing for it: the
// output layer stays what it was.
func TestEnsuredInVain(t *testing.T) {
	wte, saved := random(1, f32, 7, 4), random(2, f32, 7, 4)
	base := arrays{"transformer.wte.weight": wte}.open(t, "model.safetensors", nil)
	if err := os.WriteFile(filepath.Join(filepath.Dir(base.Path()), "config.json"), []byte(`{"tie_word_embeddings": true}`), 0o666); err != nil {
		t.Fatal(err)
	}
	adapter := arrays{prefix + "transformer.wte.weight": saved}.open(t, "adapter_model.safetensors", nil)
	c, err := Apply(base, adapter, settings{"ensure_weight_tying": true, "modules_to_save": []string{"wte"}}.raw())
	if err != nil {
		t.Fatal(err)
	}
	_, embedding := numbers(t, c, "transformer.wte.weight")
	_, head := numbers(t, c, "lm_head.weight")
	if !slices.Equal(embedding, saved.values) || !slices.Equal(head, wte.values) {
		t.Errorf("embedding %v and output layer %v", embedding, head)
	}
}

// An output layer that is tied by a name that weld does not know would change without a word.
func TestTiedUnknown(t *testing.T) {
	base := arrays{"backbone.embeddings.weight": random(1, f32, 7, 4), "backbone.layers.0.mixer.in_proj.weight": random(3, f32, 7, 4)}.open(t, "model.safetensors", nil)
	if err := os.WriteFile(filepath.Join(filepath.Dir(base.Path()), "config.json"), []byte(`{"architectures": ["MambaForCausalLM"], "vocab_size": 7}`), 0o666); err != nil {
		t.Fatal(err)
	}
	adapter := arrays{prefix + "backbone.embeddings.weight": random(2, f32, 7, 4)}.open(t, "adapter_model.safetensors", nil)
	if _, err := Apply(base, adapter, settings{}.raw()); err == nil || !strings.Contains(err.Error(), "ties an output layer") {
		t.Errorf("%v", err)
	}
}
