package stream

import (
	"bytes"
	"context"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weld/format"
)

// codedModel is a layer of FP8 blocks of 2 by 2, with an activation scale, beside a norm.
func codedModel(seed uint64) checkpoint {
	r := rand.New(rand.NewPCG(seed, 1))
	codes := make([]byte, 6*5)
	for i := range codes {
		codes[i] = byte(r.UintN(0x7f)) | byte(r.UintN(2))<<7
	}
	scales := make([]float64, 3*3)
	for i := range scales {
		scales[i] = 0.5 + r.Float64()
	}
	const name = "model.layers.0.mlp.up_proj."
	return checkpoint{
		floats("model.norm.weight", format.BF16, []float64{1, float64(seed)}, 2),
		raw(name+"weight", format.F8E4M3, codes, 6, 5), floats(name+"weight_scale_inv", format.F32, scales, 3, 3), floats(name+"input_scale", format.F32, []float64{float64(seed)}),
	}
}

const codedConfig = `{"num_hidden_layers": 1, "quantization_config": {"quant_method": "fp8", "weight_block_size": [2, 2]}}`

// saveCoded saves a model of codes in a folder.
func saveCoded(t *testing.T, dir string, seed uint64) string {
	codedModel(seed).save(t, filepath.Join(dir, "model.safetensors"))
	write(t, filepath.Join(dir, "config.json"), []byte(codedConfig))
	return dir
}

// values decodes a model of codes by hand.
func (c checkpoint) coded(t *testing.T) []float32 {
	t.Helper()
	const name = "model.layers.0.mlp.up_proj."
	codes, scales := c.find(name+"weight"), c.find(name+"weight_scale_inv")
	if codes == nil || scales == nil || codes.DType != format.F8E4M3 {
		t.Fatalf("no codes: %v", c)
	}
	values, factors := make([]float32, 30), make([]float32, 9)
	format.Decode(format.F8E4M3, values, codes.data)
	format.Decode(format.F32, factors, scales.data)
	for i := range values {
		values[i] *= factors[i/5/2*3+i%5/2]
	}
	return values
}

// A merge of models that store codes is stored as the reference is: names, types, shapes, configuration. Its values are those of the
// merge, encoded once: no nearer ones can be had by its scales.
func TestCodesAreStoredAsTheyWere(t *testing.T) {
	dir := t.TempDir()
	a, b := saveCoded(t, filepath.Join(dir, "a"), 1), saveCoded(t, filepath.Join(dir, "b"), 2)
	out := filepath.Join(dir, "out")
	p, err := planText("merge_method: linear\nmodels: [{model: "+a+", parameters: {weight: 0.25}}, {model: "+b+", parameters: {weight: 0.75}}]\n", out)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if !slices.ContainsFunc(p.Notes, func(n string) bool { return strings.Contains(n, "stored in the same way") }) {
		t.Errorf("%q", p.Notes)
	}
	report, err := p.Merge(context.Background())
	if err != nil || report.Fused != 2 || report.Copied != 0 {
		t.Fatal(report, err)
	}
	merged, _ := load(t, read(t, filepath.Join(out, "model.safetensors")))
	if string(read(t, filepath.Join(out, "config.json"))) != codedConfig || len(merged) != 4 || !bytes.Equal(merged.find("model.layers.0.mlp.up_proj.input_scale").data, codedModel(1).find("model.layers.0.mlp.up_proj.input_scale").data) {
		t.Errorf("%v", merged)
	}
	got, first, second := merged.coded(t), codedModel(1).coded(t), codedModel(2).coded(t)
	scales := make([]float32, 9)
	format.Decode(format.F32, scales, merged.find("model.layers.0.mlp.up_proj.weight_scale_inv").data)
	for i, x := range got {
		want := 0.25*float64(first[i]) + 0.75*float64(second[i])
		scale := float64(scales[i/5/2*3+i%5/2])
		if off := float64(x) - want; off > 16*scale || -off > 16*scale { // half a step of the largest codes, 448 and 416
			t.Errorf("element %d is %v, the merge gives %v", i, x, want)
		}
	}
}

// What a merge does not change keeps its bytes, codes and scales.
func TestCodesThatStay(t *testing.T) {
	dir := t.TempDir()
	a, b := saveCoded(t, filepath.Join(dir, "a"), 1), saveCoded(t, filepath.Join(dir, "b"), 2)
	for name, text := range map[string]string{
		"the same twice": "merge_method: linear\nmodels: [{model: " + a + "}, {model: " + a + "}]\n",
		"a base alone":   "merge_method: task_arithmetic\nbase_model: " + a + "\nmodels: [{model: " + b + ", parameters: {weight: 0}}]\n",
	} {
		out := filepath.Join(t.TempDir(), "out")
		p, err := planText(text, out)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Merge(context.Background()); err != nil {
			t.Fatal(err)
		}
		p.Close()
		merged, _ := load(t, read(t, filepath.Join(out, "model.safetensors")))
		for _, x := range codedModel(1) {
			if y := merged.find(x.Name); y == nil || y.DType != x.DType || !bytes.Equal(x.data, y.data) {
				t.Errorf("%s: %s is not what it was", name, x.Name)
			}
		}
	}
}

// Threads, memory and containers change no byte; what cannot hold codes gets values.
func TestCodesSameBytes(t *testing.T) {
	dir := t.TempDir()
	a, b := saveCoded(t, filepath.Join(dir, "a"), 1), saveCoded(t, filepath.Join(dir, "b"), 2)
	merge := func(name, settings string, o Options) map[string]string {
		t.Helper()
		r, err := Schema().Parse("r.yml", []byte("merge_method: ties\nbase_model: "+a+"\nmodels: [{model: "+b+", parameters: {density: 0.5, weight: 1}}]\n"+settings))
		if err != nil {
			t.Fatal(err)
		}
		o.Force = true
		p, err := Prepare(r, filepath.Join(dir, name), o)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if _, err := p.Merge(context.Background()); err != nil {
			t.Fatal(err)
		}
		return tree(t, filepath.Join(dir, name))
	}
	want := merge("out", "", Options{Threads: 1})
	if !maps.Equal(want, merge("out", "", Options{Threads: 4})) {
		t.Error("threads change bytes")
	}
	sameTensors(t, want, merge("out.safetensors", "", Options{})["."])
	for name, settings := range map[string]string{"out.safetensors.zst": "", "plain": "out_dtype: float32\n", "plain.safetensors": "dtype: bfloat16\n"} {
		files := merge(name, settings, Options{})
		data := files["."]
		if data == "" {
			data = files["model.safetensors"]
			if strings.Contains(files["config.json"], "quantization_config") {
				t.Errorf("%s: config.json declares a scheme", name)
			}
		}
		plain, _ := load(t, []byte(data))
		if x := plain.find("model.layers.0.mlp.up_proj.weight"); len(plain) != 2 || x == nil || x.DType == format.F8E4M3 {
			t.Errorf("%s: %v", name, plain)
		}
	}
}

// A configuration that names layers by number says something else of a stack, whether its codes are copied or made.
func TestSlicesOfCodesNoteNumberedLayers(t *testing.T) {
	dir := t.TempDir()
	a := saveCoded(t, filepath.Join(dir, "a"), 1)
	write(t, filepath.Join(a, "config.json"), []byte(`{"num_hidden_layers": 1, "quantization_config": {"quant_method": "fp8", "weight_block_size": [2, 2], "modules_to_not_convert": ["model.layers.7.mlp"]}}`))
	for _, method := range []string{"passthrough", "linear"} {
		source := "{sources: [{model: " + a + ", layer_range: [0, 1], parameters: {weight: 1}}]}"
		p, err := planText("merge_method: "+method+"\nslices: ["+source+", "+source+"]\n", filepath.Join(dir, "out"))
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if !slices.ContainsFunc(p.Notes, func(n string) bool { return strings.Contains(n, "names layers by number (s.7") }) {
			t.Errorf("%s: %q", method, p.Notes)
		}
	}
}

// A configuration speaks of all layers: where a slice is of a base with an adapter, whose values are no codes, all are stored plainly.
func TestSlicesOfCodesAndAdapters(t *testing.T) {
	t.Chdir(t.TempDir())
	saveCoded(t, "a", 1)
	saveCoded(t, "b", 2)
	const layer = "base_model.model.model.layers.0.mlp.up_proj.lora_"
	checkpoint{
		floats(layer+"A.weight", format.F32, []float64{1, 2, 3, 4, 5}, 1, 5), floats(layer+"B.weight", format.F32, []float64{1, 2, 3, 4, 5, 6}, 6, 1),
	}.save(t, filepath.Join("adapter", "adapter_model.safetensors"))
	write(t, filepath.Join("adapter", "adapter_config.json"), []byte(`{"peft_type": "LORA", "r": 1, "lora_alpha": 1, "target_modules": ["up_proj"]}`))
	p, err := planText("merge_method: passthrough\nslices: [{sources: [{model: a, layer_range: [0, 1]}]}, {sources: [{model: b+adapter, layer_range: [0, 1]}]}]\n", "out")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Merge(context.Background()); err != nil {
		t.Fatal(err)
	}
	merged, _ := load(t, read(t, filepath.Join("out", "model.safetensors")))
	for _, x := range merged {
		if x.DType != format.BF16 {
			t.Errorf("%v", x.Tensor)
		}
	}
	if config := string(read(t, filepath.Join("out", "config.json"))); len(merged) != 3 || strings.Contains(config, "quantization") {
		t.Errorf("%v %s", merged, config)
	}
}

// A stack of layers that are stored in different ways is stored plainly: a configuration speaks of all.
func TestCodesOfOtherTerms(t *testing.T) {
	dir := t.TempDir()
	a, b := saveCoded(t, filepath.Join(dir, "a"), 1), saveCoded(t, filepath.Join(dir, "b"), 2)
	merge := func(name string) *Prepared {
		t.Helper()
		p, err := planText("merge_method: passthrough\nparameters: {scale: 0.5}\nslices:\n- sources: [{model: "+a+", layer_range: [0, 1]}]\n- sources: [{model: "+b+", layer_range: [0, 1]}]\n", filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if _, err := p.Merge(context.Background()); err != nil {
			t.Fatal(err)
		}
		return p
	}
	plain := func(p *Prepared) bool {
		return len(p.Output.Encoded) == 0 && slices.ContainsFunc(p.Notes, func(n string) bool { return strings.Contains(n, b+" is stored in another manner") })
	}
	if p := merge("alike"); len(p.Output.Encoded) != 2 {
		t.Errorf("%d tensors are encoded: %q", len(p.Output.Encoded), p.Notes)
	}
	write(t, filepath.Join(b, "config.json"), []byte(strings.Replace(codedConfig, `"fp8", `, `"fp8", "activation_scheme": "static", `, 1)))
	if p := merge("other"); !plain(p) {
		t.Errorf("another configuration: %d tensors are encoded: %q", len(p.Output.Encoded), p.Notes)
	}
	// Scales of two rows, and of one, under one configuration that says nothing of them.
	for seed, model := range []string{a, b} {
		m := codedModel(uint64(seed))
		for i, x := range m {
			if strings.HasSuffix(x.Name, "scale_inv") {
				rows := int64(3 * (seed + 1))
				m[i] = floats(x.Name, format.F32, slices.Repeat([]float64{0.5}, int(rows)), rows, 1)
			}
		}
		m.save(t, filepath.Join(model, "model.safetensors"))
		write(t, filepath.Join(model, "config.json"), []byte(strings.Replace(codedConfig, `, "weight_block_size": [2, 2]`, "", 1)))
	}
	if p := merge("rows"); !plain(p) {
		t.Errorf("other scales: %d tensors are encoded: %q", len(p.Output.Encoded), p.Notes)
	}
}
