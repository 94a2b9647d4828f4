package stream

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weld/format"
	"weld/format/quant"
)

// layeredModel is a model of one layer with Linear modules, one of an odd size, a router and experts.
func layeredModel(seed uint64) (c checkpoint) {
	r := rand.New(rand.NewPCG(seed, 7))
	for _, x := range []struct {
		name  string
		shape []int64
	}{
		{"lm_head.weight", []int64{20, 256}}, {"model.embed_tokens.weight", []int64{20, 256}},
		{"model.layers.0.mlp.experts.0.down_proj.weight", []int64{130, 256}}, {"model.layers.0.mlp.experts.1.down_proj.weight", []int64{130, 256}},
		{"model.layers.0.mlp.gate.weight", []int64{2, 256}}, {"model.layers.0.odd.experts.0.a.weight", []int64{12, 100}}, {"model.layers.0.odd.experts.0.b.weight", []int64{12, 256}},
		{"model.layers.0.self_attn.q_norm.weight", []int64{16}}, {"model.layers.0.self_attn.q_proj.weight", []int64{256, 384}}, {"model.layers.0.thick.experts.up", []int64{2, 128, 256}},
	} {
		n, _ := format.Elements(x.shape)
		values := make([]float64, n)
		for i := range values {
			values[i] = r.NormFloat64()
		}
		c = append(c, floats(x.name, format.BF16, values, x.shape...))
	}
	return c
}

// mergedText merges by a recipe, and returns notes and tensors.
func mergedText(t *testing.T, text, out string) (notes string, c checkpoint) {
	t.Helper()
	p, err := planText(text, out)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Merge(context.Background()); err != nil {
		t.Fatal(err)
	}
	if filepath.Ext(out) == "" {
		out = filepath.Join(out, "model.safetensors")
	}
	c, _ = load(t, read(t, out))
	return strings.Join(p.Notes, "\n"), c
}

// Weights of Linear modules are stored in every scheme that has a name, and read back; configuration and tensors agree on what is not. The rest has the type
// that the recipe says.
func TestQuantizeNames(t *testing.T) {
	t.Chdir(t.TempDir())
	for i, name := range []string{"a", "b"} {
		layeredModel(uint64(i)).save(t, name+"/model.safetensors")
		write(t, name+"/config.json", []byte(`{"model_type": "llama", "x": Infinity, "quantization_config": null}`))
	}
	const both = "merge_method: linear\nmodels: [{model: a, parameters: {weight: 0.25}}, {model: b, parameters: {weight: 0.75}}]\n"
	_, want := mergedText(t, both+"dtype: float32", "want")
	linear := []string{"model.layers.0.mlp.experts.0.down_proj", "model.layers.0.mlp.experts.1.down_proj", "model.layers.0.self_attn.q_proj"}
	odd := []string{"model.layers.0.odd.experts.0.a", "model.layers.0.odd.experts.0.b"}
	for _, n := range quant.AllNamed() {
		t.Run(n.Name, func(t *testing.T) {
			notes, stored := mergedText(t, both+"dtype: float16\nquantize: "+n.Name, n.Name)
			coded := slices.Clone(linear)
			if n.Group() == 0 {
				coded = append(coded, odd...)
			} else if !strings.Contains(notes, "do not divide model.layers.0.odd.experts.0.a.weight, and all experts beside them: they stay plain") {
				t.Errorf("notes %s", notes)
			}
			var config map[string]any
			text := strings.Replace(string(read(t, n.Name+"/config.json")), "Infinity", "1", 1)
			if err := json.Unmarshal([]byte(text), &config); err != nil || strings.Count(text, "quantization_config") != 1 || config["model_type"] != "llama" {
				t.Fatalf("config.json is %s (%v)", text, err)
			}
			declared := config["quantization_config"].(map[string]any)
			list, ok := declared["ignore"].([]any)
			if !ok {
				list = declared["modules_to_not_convert"].([]any)
			}
			for _, module := range []string{"lm_head", "model.layers.0.mlp.gate", "model.layers.0.thick.experts"} {
				if !slices.Contains(list, any(module)) {
					t.Errorf("%s is not named as plain: %v", module, list)
				}
			}
			for _, module := range append(odd, linear...) {
				if slices.Contains(list, any(module)) == slices.Contains(coded, module) {
					t.Errorf("%s is named as plain in %v, or is not, and should not", module, list)
				}
			}
			for _, x := range stored {
				if module := x.Name[:strings.LastIndexByte(x.Name, '.')]; !slices.Contains(coded, module) && x.DType != format.F16 {
					t.Errorf("%s is stored as %v", x.Name, x.DType)
				}
			}
			_, got := mergedText(t, "merge_method: passthrough\nquantize: none\ndtype: float32\nmodels: [{model: "+n.Name+"}]", n.Name+"-back")
			for _, x := range want {
				y := got.find(x.Name)
				if y == nil {
					t.Errorf("%s is gone", x.Name)
					continue
				}
				var off, all float64
				values := y.values()
				for i, v := range x.values() {
					off, all = off+(values[i]-v)*(values[i]-v), all+v*v
				}
				if rounded := slices.Contains(coded, strings.TrimSuffix(x.Name, ".weight")); math.Sqrt(off/all) > 0.15 || rounded != (off/all > 1e-6) {
					t.Errorf("%s is %v off, coded: %v", x.Name, math.Sqrt(off/all), rounded)
				}
			}
			// Stored as it is, nothing changes: blocks with the same values keep their bytes, and the configuration is its own.
			_, again := mergedText(t, "merge_method: linear\nquantize: "+n.Name+"\nmodels: [{model: "+n.Name+"}]", n.Name+"-again")
			equalTensors(t, again, stored)
			if string(read(t, n.Name+"-again/config.json")) != string(read(t, n.Name+"/config.json")) {
				t.Error("another config.json")
			}
			_, again = mergedText(t, "merge_method: linear\ndtype: float16\nquantize: "+n.Name+"\nmodels: [{model: "+n.Name+"}]", n.Name+"-typed")
			equalTensors(t, again, stored)
		})
	}
}

// From one scheme to another: only what the reference has as codes is stored anew, the declaration is the new one, and nothing else is carried of the old.
func TestQuantizeAnotherScheme(t *testing.T) {
	t.Chdir(t.TempDir())
	a := layeredModel(1)
	a.save(t, "a/model.safetensors")
	write(t, "a/config.json", []byte(`{"model_type": "llama"}`))
	mergedText(t, "merge_method: passthrough\nquantize: fp8_block\nmodels: [{model: a}]", "fp8")
	config := strings.Replace(string(read(t, "fp8/config.json")), `"lm_head"`, `"lm_head", "model.layers.0.self_attn.q_proj"`, 1)
	mixed, _ := load(t, read(t, "fp8/model.safetensors"))
	const q = "model.layers.0.self_attn.q_proj.weight"
	mixed = append(mixed.without(q, q+"_scale_inv"), *a.find(q))
	mixed.save(t, "mixed/model.safetensors")
	write(t, "mixed/config.json", []byte(config))
	write(t, "mixed/hf_quant_config.json", []byte(`{"quantization": {"quant_algo": "FP8"}}`))
	_, got := mergedText(t, "merge_method: passthrough\nquantize: mxfp4\nmodels: [{model: mixed}]", "mxfp4")
	if got.find("model.layers.0.mlp.experts.1.down_proj.weight_packed") == nil || got.find(q) == nil || got.find("model.layers.0.mlp.experts.1.down_proj.weight_scale_inv") != nil {
		t.Error("the weights that were plain, or those that were not")
	}
	text := string(read(t, "mxfp4/config.json"))
	if strings.Contains(text, "weight_block_size") || !strings.Contains(text, "mxfp4-pack-quantized") || !strings.Contains(text, `"model.layers.0.self_attn.q_proj"`) {
		t.Errorf("config.json is %s", text)
	}
	if _, err := os.Stat("mxfp4/hf_quant_config.json"); err == nil {
		t.Error("hf_quant_config.json is carried")
	}
}

// What cannot be stored as the recipe says is refused before any work.
func TestQuantizeRefuses(t *testing.T) {
	t.Chdir(t.TempDir())
	layeredModel(1).save(t, "a/model.safetensors")
	layeredModel(1)[:2].save(t, "flat/model.safetensors")
	p, err := planText("merge_method: linear\nquantize: int4_group\nmodels: [{model: flat}]", "out")
	if err == nil {
		p.Close()
	}
	if says := "flat: quantize: int4_group: no tensor is the weight of a linear layer"; err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("%v, want %s", err, says)
	}
	notes, _ := mergedText(t, "merge_method: linear\nquantize: int4_group\nmodels: [{model: a}]", "out.safetensors")
	if !strings.Contains(notes, "needs the quantization_config") {
		t.Errorf("notes %s", notes)
	}
	mergedText(t, "merge_method: linear\nquantize: int4_group\nmodels: [{model: a}]", "bare") // without a config.json beside the model
	if text := string(read(t, "bare/config.json")); !json.Valid([]byte(text)) || !strings.Contains(text, "pack-quantized") {
		t.Errorf("config.json is %s", text)
	}
}

// A model may have a tensor by the name of what codes need beside them: no output has two of one name.
func TestNamesThatCodesNeed(t *testing.T) {
	t.Chdir(t.TempDir())
	const module = "model.layers.0.self_attn.q_proj"
	for i, c := range []struct{ name, scheme, says string }{
		{"weight_packed", "int4_group", "the output would have two tensors of this name"},
		{"weight_scale", "int8_channel", `beside codes it would be read as what belongs to those of "` + module + `.weight"`},
		{"weight_scale", "fp8_block", "beside codes it would be read"},
		{"pre_quant_scale", "nvfp4", "beside codes it would be read"},
	} {
		dir := fmt.Sprint("m", i)
		model := append(layeredModel(1), floats(module+"."+c.name, format.F32, []float64{1}, 1))
		model.save(t, dir+"/model.safetensors")
		write(t, dir+"/config.json", []byte(`{"num_hidden_layers": 1}`))
		_, err := planText("merge_method: linear\nquantize: "+c.scheme+"\nmodels: [{model: "+dir+"}]", "out")
		if format.KindOf(err) != format.KindScheme || !strings.Contains(err.Error(), dir+`: tensor "`+module+"."+c.name+`": `+c.says) {
			t.Errorf("%s, %s: %v", c.name, c.scheme, err)
		}
	}
	if p, err := planText("merge_method: linear\nmodels: [{model: m0}]", "out"); err != nil {
		t.Error(err)
	} else {
		p.Close()
	}
}
