package stream

import (
	"context"
	"path/filepath"
	"testing"

	"weld/format"
)

// A base with an adapter gives a model like the base: tensors have its types, and the sum of base and adapter,
// computed in float32, is rounded once. Whole tensors of an adapter (modules_to_save) come out in it, too.
func TestAdaptersLeaveTheBasesTypes(t *testing.T) {
	t.Chdir(t.TempDir())
	const layer, norm, head = "model.layers.0.q_proj", "model.norm", "lm_head"
	checkpoint{
		floats(layer+".weight", format.BF16, []float64{1, 2, -1, 0.5}, 2, 2),
		floats(norm+".weight", format.F16, []float64{1, 1}, 2),
		floats(head+".weight", format.BF16, []float64{3, 4, 5, 6}, 2, 2),
		floats("model.embed_tokens.weight", format.F32, []float64{1, 2, 3, 4}, 2, 2),
	}.save(t, "base/model.safetensors")
	const tiny = 1.0 / 1024
	for _, name := range []string{"one", "two"} {
		checkpoint{
			floats("base_model.model."+layer+".lora_A.weight", format.F32, []float64{1, tiny}, 1, 2),
			floats("base_model.model."+layer+".lora_B.weight", format.F32, []float64{5 * tiny, 3}, 2, 1),
			floats("base_model.model."+norm+".weight", format.F32, []float64{1 + tiny*tiny, 1 + tiny}, 2),
			floats("base_model.model."+head+".lora_A.weight", format.BF16, []float64{0, 0}, 1, 2),
			floats("base_model.model."+head+".lora_B.weight", format.BF16, []float64{0, 0}, 2, 1),
		}.save(t, filepath.Join(name, "adapter_model.safetensors"))
		write(t, name+"/adapter_config.json", []byte(`{"peft_type": "LORA", "r": 1, "lora_alpha": 1, "target_modules": ["q_proj", "lm_head"], "modules_to_save": ["norm"]}`))
	}
	sum := func(adapters float64) []float64 {
		return []float64{1 + adapters*5*tiny, 2 + adapters*5*tiny*tiny, -1 + adapters*3, 0.5 + adapters*3*tiny}
	}
	for name, c := range map[string]struct {
		text     string
		adapters float64
		dtype    format.DType
	}{
		"passthrough":   {"merge_method: passthrough\nmodels: [{model: base+one}]", 1, 0},
		"two adapters":  {"merge_method: passthrough\nmodels: [{model: base+one+two}]", 2, 0},
		"linear":        {"merge_method: linear\nmodels: [{model: base+one}, {model: base+two}]", 1, 0},
		"as the base":   {"merge_method: task_arithmetic\nbase_model: base+one\nmodels: [{model: base+one}]", 1, 0},
		"slices":        {"merge_method: passthrough\nslices:\n- sources: [{model: base+one, layer_range: [0, 1]}]", 1, 0},
		"modules":       {"merge_method: passthrough\nmodules:\n  text_decoder: {models: [{model: base+one}]}\n  model.layers: {models: [{model: base+one}]}", 1, 0},
		"plain base":    {"merge_method: task_arithmetic\nbase_model: base\nmodels: [{model: base+one}]", 1, 0},
		"a type is set": {"merge_method: passthrough\ndtype: float32\nmodels: [{model: base+one}]", 1, format.F32},
	} {
		t.Run(name, func(t *testing.T) {
			plan, err := planText(c.text, filepath.Join(t.TempDir(), "out"))
			if err != nil {
				t.Fatal(err)
			}
			defer plan.Close()
			if _, err := plan.Merge(context.Background()); err != nil {
				t.Fatal(err)
			}
			got, _ := load(t, read(t, filepath.Join(plan.Output.Path, "model.safetensors")))
			for _, want := range []tensor{
				floats(layer+".weight", format.BF16, sum(c.adapters), 2, 2),
				floats(norm+".weight", format.F16, []float64{1 + tiny*tiny, 1 + tiny}, 2),
				floats(head+".weight", format.BF16, []float64{3, 4, 5, 6}, 2, 2),
				floats("model.embed_tokens.weight", format.F32, []float64{1, 2, 3, 4}, 2, 2),
			} {
				x := got.find(want.Name)
				if x == nil {
					t.Fatalf("%s is not there", want.Name)
				}
				dtype := want.DType
				if c.dtype != 0 {
					dtype = c.dtype
				}
				if x.DType != dtype {
					t.Errorf("%s is %v, want %v", want.Name, x.DType, dtype)
				} else if c.dtype == 0 && string(x.data) != string(want.data) {
					t.Errorf("%s is %v, want %v", want.Name, x.values(), want.values())
				}
			}
		})
	}
}
