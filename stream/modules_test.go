package stream

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Values of merges by modules are among what [TestMergekitAgrees] compares; here is the rest.

// mergedThere merges a recipe among mergekit's models into a directory.
func mergedThere(t *testing.T, text string) (plan *Prepared, out string) {
	t.Helper()
	out = filepath.Join(t.TempDir(), "out")
	plan, err := inMergekit(t, text, out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { plan.Close() })
	if _, err := plan.Merge(context.Background()); err != nil {
		t.Fatal(err)
	}
	return plan, out
}

// inMergekit plans a recipe among mergekit's models.
func inMergekit(t *testing.T, text, out string) (*Prepared, error) {
	t.Chdir("testdata/mergekit/models")
	r, err := Schema().Parse("recipe.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return Prepare(r, out, Options{})
}

func TestConfigurationFollowsTheLayersOfEachModule(t *testing.T) {
	plan, out := mergedThere(t, `merge_method: passthrough
modules:
  vision_tower:
    slices:
      - sources: [{model: vision-b, layer_range: [1, 3]}]
      - sources: [{model: vision-a, layer_range: [0, 3]}]
  text_decoder:
    slices:
      - sources: [{model: vision-a, layer_range: [0, 1]}]
  default: {models: [{model: vision-a}]}
`)
	data, err := os.ReadFile(filepath.Join(out, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	type part struct {
		Layers int `json:"num_hidden_layers"`
	}
	var config struct {
		Text   part `json:"text_config"`
		Vision part `json:"vision_config"`
	}
	if err := json.Unmarshal(data, &config); err != nil {
		t.Fatal(err)
	}
	if config.Text.Layers != 1 || config.Vision.Layers != 5 {
		t.Errorf("%d layers of text and %d of vision, want 1 and 5", config.Text.Layers, config.Vision.Layers)
	}
	names := make(map[string]bool)
	for _, x := range plan.Tensors {
		names[x.Name] = true
	}
	for name, want := range map[string]bool{
		"language_model.model.layers.0.mlp.up_proj.weight": true, "language_model.model.layers.1.mlp.up_proj.weight": false,
		"vision_tower.transformer.layers.4.ffn_norm.weight": true, "vision_tower.transformer.layers.5.ffn_norm.weight": false,
		"multi_modal_projector.norm.weight": true, "language_model.lm_head.weight": true,
	} {
		if names[name] != want {
			t.Errorf("%s is written: %v", name, names[name])
		}
	}
}

func TestSlicesAreCountedInTheirModule(t *testing.T) {
	_, err := inMergekit(t, `merge_method: passthrough
modules:
  text_decoder: {models: [{model: vision-a}]}
  vision_tower:
    slices:
      - sources: [{model: vision-a, layer_range: [0, 2]}]
      - sources: [{model: vision-b, layer_range: [2, 9]}]
`, "")
	if err == nil || !strings.Contains(err.Error(), "slice 2 in module vision_tower: layer_range [2, 9] of vision-b: it has 3 layers, 0 to 2") {
		t.Error(err)
	}
}

// A stack that ends in a tied model, but has the configuration of one that is not, has an output layer: what stands
// for it in the tied one.
func TestStackThatEndsTied(t *testing.T) {
	_, out := mergedThere(t, `merge_method: passthrough
slices:
  - sources: [{model: base, layer_range: [0, 2]}]
  - sources: [{model: tied-a, layer_range: [1, 2]}]
`)
	got, want := readAll(t, out)["lm_head.weight"], readAll(t, "tied-a/model.safetensors")["model.embed_tokens.weight"]
	if len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("the output layer has %d values, those of the tied embeddings are %d", len(got), len(want))
	}
}

func TestModulesThatAreNotThere(t *testing.T) {
	_, err := inMergekit(t, "merge_method: linear\nmodules:\n  text_decoder: {models: [{model: vision-a}]}\n  vison: {models: [{model: vision-a}]}\n", "")
	for _, part := range []string{`module "vison" on line 4`, "vision-a", "vision_tower (vision_tower.…)", "text_decoder (language_model.…)"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q: %v", part, err)
		}
	}
}

func TestWhatNoModuleHasIsListed(t *testing.T) {
	plan, err := inMergekit(t, "merge_method: linear\nmodules:\n  text_decoder: {models: [{model: vision-a}]}\n  vision_tower: {models: [{model: vision-a}]}\n", "")
	if err != nil {
		t.Fatal(err)
	}
	defer plan.Close()
	if notes := strings.Join(plan.Notes, "\n"); !strings.Contains(notes, "left out, since no module of the recipe has them") || !strings.Contains(notes, "multi_modal_projector.linear_1.weight") {
		t.Errorf("notes: %s", notes)
	}
}
