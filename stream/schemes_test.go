package stream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weld/format"
	"weld/stream/plan"
)

// fp8Model is two layers of codes with scales, which no two seeds share.
func fp8Model(seed byte) checkpoint {
	codes := func(name string, n int64) tensor {
		data := make([]byte, n*n)
		for i := range data {
			data[i] = byte(i)*7%0x78 + seed
		}
		return raw(name, format.F8E4M3FNUZ, data, n, n) // which weld does not decode
	}
	c := checkpoint{floats("model.embed_tokens.weight", format.BF16, []float64{1, 2, 3, float64(seed)}, 2, 2)}
	for _, layer := range []string{"model.layers.0.", "model.layers.1."} {
		c = append(c, codes(layer+"q_proj.weight", 4), floats(layer+"q_proj.weight_scale_inv", format.F32, []float64{float64(seed) + 0.5}, 1, 1))
	}
	return append(c, floats("model.norm.weight", format.BF16, []float64{1, float64(seed)}, 2))
}

// aqlmModel is a layer of codes with codebooks, which weld does not decode.
func aqlmModel(seed byte) checkpoint {
	return checkpoint{
		raw("model.layers.0.q_proj.codes", format.I16, bytes.Repeat([]byte{seed, 2}, 4), 4, 1, 1),
		floats("model.layers.0.q_proj.codebooks", format.F16, []float64{1, 2, 3, float64(seed)}, 1, 1, 1, 4),
		floats("model.layers.0.q_proj.scales", format.F16, []float64{1, 2, 3, float64(seed)}, 4, 1, 1, 1),
		floats("model.norm.weight", format.F16, []float64{1, float64(seed)}, 2),
	}
}

const (
	fp8Config  = `{"num_hidden_layers": 2, "quantization_config": {"quant_method": "fp8", "weight_block_size": [4, 4]}}`
	aqlmConfig = `{"num_hidden_layers": 1, "quantization_config": {"quant_method": "aqlm", "nbits_per_codebook": 16}}`
)

// schemes goes to a folder with checkpoints of several schemes.
func schemes(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	for _, m := range []struct {
		name, config string
		tensors      checkpoint
	}{
		{"a", fp8Config, fp8Model(1)}, {"b", fp8Config, fp8Model(2)}, {"c", fp8Config, fp8Model(3)},
		{"aqlm-a", aqlmConfig, aqlmModel(1)}, {"aqlm-b", aqlmConfig, aqlmModel(2)},
		{"other-blocks", strings.Replace(fp8Config, "4, 4", "2, 2", 1), fp8Model(2)},
		{"undeclared", `{}`, fp8Model(1)},
		{"aqlm-lacking", aqlmConfig, aqlmModel(3).without("model.layers.0.q_proj.codebooks")},
	} {
		m.tensors.save(t, filepath.Join(m.name, "model.safetensors"))
		write(t, filepath.Join(m.name, "config.json"), []byte(m.config))
	}
	var plain checkpoint
	for _, x := range fp8Model(4) {
		if !strings.HasSuffix(x.Name, "_inv") {
			plain = append(plain, floats(x.Name, format.BF16, slices.Repeat([]float64{0.25}, int(x.Elements())), x.Shape...))
		}
	}
	plain.save(t, "plain/model.safetensors")
	plain.save(t, "other-plain/model.safetensors")
	write(t, "plain/config.json", []byte(`{"num_hidden_layers": 2}`))
}

func planText(text, out string) (*Prepared, error) {
	r, err := Schema().Parse("recipe.yml", []byte(text))
	if err != nil {
		return nil, err
	}
	return Prepare(r, out, Options{})
}

// refusedScheme demands the one error that names a scheme, and what it is found by.
func refusedScheme(t *testing.T, err error, said ...string) {
	t.Helper()
	var all *plan.InputError
	if !errors.As(err, &all) || len(all.Problems) != 1 || format.KindOf(err) != format.KindScheme {
		t.Fatalf("%v: not one refusal of a scheme", err)
	}
	for _, s := range said {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%v\nlacks %q", err, s)
		}
	}
}

func TestNoMethodComputesWithCodes(t *testing.T) {
	schemes(t)
	for _, m := range Schema() {
		models := []string{"b", "c"}
		if m.MaxModels == 1 {
			models = models[:1]
		}
		text := "merge_method: " + m.Name + "\nbase_model: a\nparameters: {t: 0.5, scale: 0.5}\nmodels:\n"
		switch m.Name {
		case "slerp":
			models = []string{"a", "b"}
			fallthrough
		case "nearswap":
			text = strings.Replace(text, ", scale: 0.5", "", 1)
		case "passthrough":
			text = strings.Replace(text, "t: 0.5, ", "", 1)
		case "sta":
			text = strings.Replace(text, "t: 0.5, scale: 0.5", "score: magnitude", 1)
		default:
			text = strings.Replace(text, "parameters: {t: 0.5, scale: 0.5}\n", "", 1)
		}
		for _, model := range models {
			text += "  - model: " + model + "\n"
			if slices.Contains([]string{"fisher", "fisher_arithmetic", "ota", "perta"}, m.Name) {
				text += "    parameters: {importance: other-plain}\n"
			}
		}
		_, err := planText(text, "")
		refusedScheme(t, err, `a: tensor "model.layers.0.q_proj.weight": F8_E4M3`, "fp8 (config.json: quantization_config", `"model.layers.0.q_proj.weight_scale_inv"`)
	}
}

func TestCodesAreNotMergedInAnyForm(t *testing.T) {
	schemes(t)
	for name, c := range map[string]struct{ text, said string }{
		"by names alone":     {"merge_method: linear\nmodels: [{model: undeclared}, {model: undeclared}]", "undeclared: "},
		"plain base":         {"merge_method: task_arithmetic\nbase_model: plain\nmodels: [{model: a}]", `a: tensor "model.layers.0.q_proj.weight": F8_E4M3FNUZ: the model`},
		"plain model":        {"merge_method: task_arithmetic\nbase_model: a\nmodels: [{model: plain}]", "nor mixes with the model plain, which is stored plainly"},
		"another type":       {"merge_method: passthrough\ndtype: bfloat16\nmodels: [{model: a}]", "a: "},
		"another output":     {"merge_method: passthrough\nout_dtype: float32\nmodels: [{model: a}]", "a: "},
		"codebooks":          {"merge_method: linear\nmodels: [{model: aqlm-a}, {model: aqlm-b}]", "aqlm (config.json: quantization_config; "},
		"a tensor of both":   {"merge_method: passthrough\nbase_model: aqlm-a\nmodels: [{model: aqlm-lacking}]", "aqlm (config.json"},
		"plain donor":        {"merge_method: passthrough\nbase_model: plain\nmodels: [{model: a}]", "a: "},
		"stacked schemes":    {"merge_method: passthrough\nslices:\n- sources: [{model: a, layer_range: [0, 2]}]\n- sources: [{model: aqlm-a, layer_range: [0, 1]}]", "nor mixes with the model aqlm-a"},
		"stacked with plain": {"merge_method: passthrough\nslices:\n- sources: [{model: plain, layer_range: [0, 2]}]\n- sources: [{model: a, layer_range: [0, 1]}]", "a: "},
		"stacked terms":      {"merge_method: passthrough\nslices:\n- sources: [{model: a, layer_range: [0, 2]}]\n- sources: [{model: other-blocks, layer_range: [0, 1]}]", "nor mixes with the model other-blocks"},
		"merged slices":      {"merge_method: linear\nslices:\n- sources: [{model: a, layer_range: [0, 2]}, {model: b, layer_range: [0, 2]}]", "a: "},
		"a module":           {"merge_method: linear\nmodules:\n  text_decoder: {models: [{model: a}, {model: b}]}\n  default: {models: [{model: a}]}", "a: "},
		"importance":         {"merge_method: fisher\nmodels: [{model: plain, parameters: {importance: a}}, {model: other-plain, parameters: {importance: a}}]", "a: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := planText(c.text, "")
			refusedScheme(t, err, c.said)
		})
	}
	write(t, "adapter/adapter_config.json", []byte(`{"peft_type": "LORA", "r": 1, "lora_alpha": 1, "target_modules": ["q_proj"]}`))
	checkpoint{
		floats("base_model.model.model.layers.0.q_proj.lora_A.weight", format.F32, []float64{1, 2, 3, 4}, 1, 4),
		floats("base_model.model.model.layers.0.q_proj.lora_B.weight", format.F32, []float64{1, 2, 3, 4}, 4, 1),
	}.save(t, "adapter/adapter_model.safetensors")
	_, err := planText("merge_method: passthrough\nmodels: [{model: aqlm-a+adapter}]", "")
	refusedScheme(t, err, "aqlm-a: ", "base of the adapter")
}

// What is copied as it is may be in any scheme: codes and scales come from one model, and the configuration stays.
func TestCodesAreCopied(t *testing.T) {
	schemes(t)
	merge := func(text, out string) checkpoint {
		t.Helper()
		plan, err := planText(text, out)
		if err != nil {
			t.Fatal(err)
		}
		defer plan.Close()
		if _, err := plan.Merge(context.Background()); err != nil {
			t.Fatal(err)
		}
		got, _ := load(t, read(t, filepath.Join(out, "model.safetensors")))
		return got
	}
	same := func(got, want checkpoint) {
		t.Helper()
		if len(got) != len(want) {
			t.Errorf("%d tensors, want %d", len(got), len(want))
		}
		for _, x := range want {
			if y := got.find(x.Name); y == nil || y.DType != x.DType || !bytes.Equal(y.data, x.data) {
				t.Errorf("%s is not what it was", x.Name)
			}
		}
	}
	same(merge("merge_method: passthrough\nmodels: [{model: a}]", "out"), fp8Model(1))
	if got := string(read(t, "out/config.json")); got != fp8Config {
		t.Errorf("config.json is %s", got)
	}
	same(merge("merge_method: passthrough\nbase_model: aqlm-a\nmodels: [{model: aqlm-b}]", "donor"), aqlmModel(2))

	stacked := merge("merge_method: passthrough\nslices:\n- sources: [{model: a, layer_range: [0, 2]}]\n- sources: [{model: b, layer_range: [1, 2]}]", "stack")
	want := fp8Model(1)[:5]
	for _, x := range fp8Model(2)[3:] {
		x.Name = strings.Replace(x.Name, "layers.1", "layers.2", 1)
		want = append(want, x)
	}
	same(stacked, want)
}

// No rows are taken from codes that are not decoded.
func TestEmbeddingsOfCodesGetNoVocabulary(t *testing.T) {
	t.Chdir(t.TempDir())
	checkpoint{
		raw("model.embed_tokens.weight", format.F8E4M3FNUZ, []byte{1, 2, 3, 4}, 2, 2),
		floats("model.embed_tokens.weight_scale", format.F32, []float64{2}, 1),
	}.save(t, "m/model.safetensors")
	write(t, "m/config.json", []byte(`{}`))
	_, err := planText("merge_method: passthrough\ntokenizer_source: union\nmodels: [{model: m}]", "")
	refusedScheme(t, err, `"model.embed_tokens.weight"`, "nor takes rows of its embeddings from")
}

// A model that was decoded, and kept what its configuration said, merges; the output says what it is.
func TestStaleDeclarations(t *testing.T) {
	t.Chdir(t.TempDir())
	c := checkpoint{floats("model.norm.weight", format.BF16, []float64{1, 2}, 2)}
	for _, name := range []string{"a", "b"} {
		c.save(t, filepath.Join(name, "model.safetensors"))
	}
	write(t, "a/hf_quant_config.json", []byte(`{"quantization": {"quant_algo": "FP8"}}`))
	merged := func(config string) (plan *Prepared, written map[string]any) {
		t.Helper()
		write(t, "a/config.json", []byte(config))
		plan, err := planText("merge_method: linear\nmodels: [{model: a}, {model: b}]", "out")
		if err != nil {
			t.Fatal(err)
		}
		plan.Options.Force = true
		defer os.RemoveAll("out")
		defer plan.Close()
		if _, err := plan.Merge(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(read(t, "out/config.json"), &written); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat("out/hf_quant_config.json"); err == nil {
			t.Error("hf_quant_config.json is carried")
		}
		return plan, written
	}
	plan, written := merged(`{"hidden_size": 2, "quantization_config": {"quant_method": "fp8"}}`)
	if len(written) != 1 || written["hidden_size"] != 2.0 {
		t.Errorf("config.json is %v", written)
	}
	if notes := strings.Join(plan.Notes, "\n"); !strings.Contains(notes, "a: config.json: quantization_config, hf_quant_config.json: quantization is left out of the output") {
		t.Errorf("notes: %s", notes)
	}
	if _, written = merged(`{"quantization_config": {"quant_method": "bitnet", "quantization_mode": "online"}}`); len(written) != 1 {
		t.Error("what is done when the model is loaded is taken out")
	}
}

func TestDiffSaysThatCodesAreCompared(t *testing.T) {
	schemes(t)
	d, err := CompareCheckpoints(context.Background(), "a", "plain", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Notes) != 1 || !strings.HasPrefix(d.Notes[0], "a stores its values as fp8 (config.json: quantization_config; ") {
		t.Errorf("notes: %q", d.Notes)
	}
}

// A sweep is refused as its merges are.
func TestSweepsOfCodes(t *testing.T) {
	schemes(t)
	var variants []Variant
	for _, weight := range []string{"0.5", "1"} {
		r, err := Schema().Parse("recipe.yml", []byte("merge_method: task_arithmetic\nbase_model: a\nmodels: [{model: b, parameters: {weight: "+weight+"}}]"))
		if err != nil {
			t.Fatal(err)
		}
		variants = append(variants, Variant{r, "out-" + weight})
	}
	_, err := NewSweep(variants, Options{})
	refusedScheme(t, err, "a: ")
}

// What stands beside a single file is a witness where a layout is not known, and no obstacle where it cannot be read.
func TestSingleFilesAreRecognised(t *testing.T) {
	t.Chdir(t.TempDir())
	c := checkpoint{raw("w", format.U8, []byte{1, 2, 3, 4}, 4), floats("v", format.F32, []float64{1}, 1)}
	c.save(t, "a/x.safetensors")
	c.save(t, "b/x.safetensors")
	write(t, "a/config.json", []byte(`{"quantization_config": {"quant_method": "tomorrow"}}`))
	write(t, "b/config.json/in-the-way", nil)
	_, err := planText("merge_method: linear\nmodels: [{model: a/x.safetensors}, {model: a/x.safetensors}]", "")
	refusedScheme(t, err, "tomorrow (config.json: quantization_config)")
	plan, err := planText("merge_method: linear\nmodels: [{model: b/x.safetensors}, {model: b/x.safetensors}]", "")
	if err != nil {
		t.Fatal(err)
	}
	plan.Close()
}

// Where other weights of a model are decoded, one that is not is said to lack what belongs to it.
func TestCodesThatLackTheirScales(t *testing.T) {
	t.Chdir(t.TempDir())
	const config = `{"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}`
	model := checkpoint{
		raw("a.weight", format.F8E4M3, []byte{1, 2}, 1, 2), floats("a.weight_scale_inv", format.F32, []float64{1}, 1, 1),
		raw("b.weight", format.F8E4M3, []byte{1, 2}, 1, 2), floats("b.weight_scale_inv", format.F32, []float64{1}, 1, 1),
	}
	for name, c := range map[string]checkpoint{"whole": model, "lacking": model[:3]} {
		c.save(t, name+"/model.safetensors")
		write(t, name+"/config.json", []byte(config))
	}
	for _, other := range []string{"whole", "lacking"} {
		_, err := planText("merge_method: linear\nmodels: [{model: "+other+"}, {model: lacking}]", "")
		if format.KindOf(err) != format.KindScheme || strings.Contains(err.Error(), "plainly") || !strings.Contains(err.Error(), `lacking: tensor "b.weight": F8_E4M3`) || !strings.Contains(err.Error(), "its scales are missing") {
			t.Errorf("beside %s: %v", other, err)
		}
	}
	checkpoint{raw("a.codes", format.I16, []byte{1, 2}, 1, 1), floats("a.codebooks", format.F16, []float64{1}, 1, 1), floats("b.weight", format.F32, []float64{1, 2}, 1, 2)}.save(t, "aqlm/model.safetensors")
	_, err := planText("merge_method: linear\nmodels: [{model: aqlm}, {model: whole}]", "")
	refusedScheme(t, err, "nor mixes with the model whole, whose values are decoded from fp8")
}
