package stream

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weld/format"
)

// This file merges checkpoints of FP8 codes with scales. What is right is found without the package that decodes them: by
// the definition of E4M3 and a product, and by merging the values that come of it.

// float8Layout is how codes are scaled.
type float8Layout struct {
	suffix string
	dtype  format.DType // of the scales
	block  [2]int64     // 0 for all
	shape  func(rows, cols int64) []int64
	config string
}

func perBlock(rows, cols int64) []int64 { return []int64{rows, cols} }

var float8Layouts = map[string]float8Layout{
	"blocks":     {"_scale_inv", format.F32, [2]int64{32, 32}, perBlock, `{"hidden_size": 30, "quantization_config": {"quant_method": "fp8", "weight_block_size": [32, 32]}}`},
	"channels":   {"_scale", format.BF16, [2]int64{1, 0}, perBlock, `{"hidden_size": 30, "quantization_config": {"quant_method": "fbgemm_fp8"}}`},
	"tensor":     {"_scale", format.F32, [2]int64{}, func(_, _ int64) []int64 { return nil }, `{"hidden_size": 30, "quantization_config": {"quant_method": "fp8"}}`},
	"undeclared": {"_scale_inv", format.F32, [2]int64{10, 10}, perBlock, `{"hidden_size": 30}`},
}

// valueE4M3 is the number of a code, by its definition (OCP 8-bit Floating Point Specification 1.0).
func valueE4M3(code byte) float64 {
	exponent, fraction := int(code>>3&15), float64(code&7)
	value := math.Ldexp(8+fraction, exponent-10)
	if exponent == 0 {
		value = math.Ldexp(fraction, -9)
	}
	if code&0x80 != 0 {
		return -value
	}
	return value
}

// split stores the matrices of a checkpoint as codes and scales, and tells what they stand for.
func (l float8Layout) split(c checkpoint) (stored, decoded checkpoint) {
	for _, x := range c {
		if len(x.Shape) != 2 || !x.DType.Computable() {
			stored, decoded = append(stored, x), append(decoded, x)
			continue
		}
		rows, cols := x.Shape[0], x.Shape[1]
		block := l.block
		for i, all := range x.Shape {
			if block[i] == 0 {
				block[i] = all
			}
		}
		down, across := (rows+block[0]-1)/block[0], (cols+block[1]-1)/block[1]
		at := func(i int64) int64 { return i/cols/block[0]*across + i%cols/block[1] }
		values, most := x.values(), make([]float64, down*across)
		for i, v := range values {
			most[at(int64(i))] = max(most[at(int64(i))], math.Abs(v)/448)
		}
		scales := floats(x.Name+l.suffix, l.dtype, most, l.shape(down, across)...)
		most = scales.values()
		for i := range values {
			values[i] /= most[at(int64(i))]
		}
		codes := floats(x.Name, format.F8E4M3, values, rows, cols)
		for i, code := range codes.data {
			values[i] = float64(float32(valueE4M3(code) * most[at(int64(i))])) // the product is exact in float64
		}
		stored, decoded = append(stored, codes, scales), append(decoded, floats(x.Name, format.F32, values, rows, cols))
	}
	return stored, decoded
}

// matrices are tensors of a model of which some become codes.
func matrices() []format.Tensor {
	return []format.Tensor{
		describe("a.weight", format.BF16, 90, 100), describe("b.weight", format.BF16, 20, 30), describe("long.weight", format.BF16, 10, 2000),
		describe("norm.weight", format.BF16, 30), describe("ids", format.I64, 50),
	}
}

// split stores a family's checkpoints as codes.
func (l float8Layout) splitFamily(f family) (stored, decoded family) {
	stored.importance, decoded.importance = f.importance, f.importance
	stored.base, decoded.base = l.split(f.base)
	for _, m := range f.models {
		s, d := l.split(m)
		stored.models, decoded.models = append(stored.models, s), append(decoded.models, d)
	}
	return stored, decoded
}

// saveDeclared saves a family of codes with its configuration.
func (l float8Layout) saveDeclared(t *testing.T, f family) savedFamily {
	p := f.save(t)
	write(t, filepath.Join(p.dir, "config.json"), []byte(l.config))
	write(t, filepath.Join(p.base, "config.json"), []byte(l.config))
	return p
}

// same demands that two requests over two families give the same tensors.
func same(t *testing.T, p savedFamily, q request, o Options, other savedFamily, like request) {
	t.Helper()
	p.must(t, q, p.out("out.safetensors"), o)
	other.must(t, like, other.out("out.safetensors"), Options{})
	got, _ := load(t, read(t, p.out("out.safetensors")))
	want, _ := load(t, read(t, other.out("out.safetensors")))
	equalTensors(t, got, want)
}

// Every method gives of codes what it gives of the values that they stand for, whichever of base and models have them.
// Importance files have the names of the weights.
func TestMergesOfFloat8(t *testing.T) {
	for name, l := range float8Layouts {
		f := newFamily(2, matrices()...)
		stored, decoded := l.splitFamily(f)
		for _, q := range everyMethod() {
			t.Run(name+"/"+q.String(), func(t *testing.T) {
				like := q.with("dtype=bfloat16")
				q = q.with("quantize=none")
				same(t, l.saveDeclared(t, stored), q, Options{Threads: 3, Memory: 48 << 20}, decoded.save(t), like)
				if name != "blocks" {
					return
				}
				tuned, plainTuned := stored, decoded // FP8 fine-tunes of a plain base
				tuned.base, plainTuned.base = f.base, f.base
				same(t, l.saveDeclared(t, tuned), q, Options{}, plainTuned.save(t), like)
				tuned, plainTuned = stored, decoded // plain fine-tunes of an FP8 base
				tuned.models, plainTuned.models = f.models, f.models
				same(t, l.saveDeclared(t, tuned), q, Options{}, plainTuned.save(t), like)
			})
		}
	}
}

// A mean of two models of codes is, to the bit, what a calculation in a few lines says.
func TestMeanOfFloat8(t *testing.T) {
	l := float8Layouts["blocks"]
	stored, decoded := l.splitFamily(newFamily(2, matrices()...))
	p := l.saveDeclared(t, stored)
	p.must(t, ask("linear", "weights=0.3,0.9", "normalize=false", "dtype=float32"), p.out("out.safetensors"), Options{})
	got, _ := load(t, read(t, p.out("out.safetensors")))
	for _, name := range []string{"a.weight", "long.weight"} {
		x, a, b := got.find(name), decoded.models[0].find(name).values(), decoded.models[1].find(name).values()
		for i, v := range x.values() {
			first, second := float32(float32(0.3)*float32(a[i])), float32(float32(0.9)*float32(b[i]))
			if want := first + second; float32(v) != want {
				t.Fatalf("%s: element %d is %v, want %v", name, i, v, want)
			}
		}
	}
}

// Codes, and their scales in other shards, and modules that are not converted, whatever the configuration calls them.
func TestFloat8InShards(t *testing.T) {
	l := float8Layouts["blocks"]
	f := newFamily(1, matrices()...)
	stored, decoded := l.splitFamily(f)
	plain := f.models[0].find("b.weight")
	mixed, values := stored.models[0].without("b.weight", "b.weight_scale_inv"), decoded.models[0].without("b.weight")
	mixed, values = append(mixed, *plain), append(values, *plain)
	dir := t.TempDir()
	mixed.saveShards(t, filepath.Join(dir, "fp8"), 1)
	values.save(t, filepath.Join(dir, "values/model.safetensors"))
	write(t, filepath.Join(dir, "fp8/config.json"), []byte(strings.Replace(l.config, `"quant_method"`, `"modules_to_not_convert": ["b"], "quant_method"`, 1)))
	write(t, filepath.Join(dir, "fp8/hf_quant_config.json"), []byte(`{"quantization": {"quant_algo": "FP8"}}`))
	t.Chdir(dir)
	merged := func(text, out string) (notes string, c checkpoint) {
		t.Helper()
		p, err := planText(text, out)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if _, err := p.Merge(context.Background()); err != nil {
			t.Fatal(err)
		}
		c, _ = load(t, read(t, filepath.Join(out, "model.safetensors")))
		return strings.Join(p.Notes, "\n"), c
	}
	notes, got := merged("merge_method: passthrough\nquantize: none\nparameters: {scale: 2}\nmodels: [{model: fp8}]", "out")
	_, want := merged("merge_method: passthrough\nparameters: {scale: 2}\nout_dtype: bfloat16\nmodels: [{model: values}]", "want")
	equalTensors(t, got, want)

	var config map[string]any
	if err := json.Unmarshal(read(t, "out/config.json"), &config); err != nil || config["hidden_size"] != 30.0 || config["quantization_config"] != nil {
		t.Errorf("config.json is %v, %v", config, err)
	}
	if _, err := os.Stat("out/hf_quant_config.json"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("hf_quant_config.json is carried (%v)", err)
	}
	if says := "fp8: values are decoded from fp8, and stored plainly in the output: quantize: none asks for it"; !strings.Contains(notes, says) {
		t.Errorf("notes %s\nlack %s", notes, says)
	}
}

// An adapter on a base of codes is one on the values.
func TestAdapterOnFloat8(t *testing.T) {
	l := float8Layouts["blocks"]
	stored, decoded := l.splitFamily(newFamily(1, matrices()...))
	t.Chdir(t.TempDir())
	stored.models[0].save(t, "fp8/model.safetensors")
	decoded.models[0].save(t, "values/model.safetensors")
	write(t, "fp8/config.json", []byte(l.config))
	write(t, "adapter/adapter_config.json", []byte(`{"peft_type": "LORA", "r": 2, "lora_alpha": 3, "target_modules": ["a"]}`))
	adapter := newFamily(0, describe("base_model.model.a.lora_A.weight", format.F32, 2, 100), describe("base_model.model.a.lora_B.weight", format.F32, 90, 2))
	adapter.base.save(t, "adapter/adapter_model.safetensors")
	plainly := map[string]string{"fp8": "", "values": "out_dtype: bfloat16\n"}
	for name := range plainly {
		p, err := planText("merge_method: linear\n"+plainly[name]+"models: [{model: "+name+"+adapter}, {model: "+name+"}]", name+".safetensors")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Merge(context.Background()); err != nil {
			t.Fatal(err)
		}
		if notes := strings.Join(p.Notes, "\n"); name == "fp8" && !strings.Contains(notes, "fp8+adapter: values are decoded from fp8, and stored plainly in the output: it has adapters") {
			t.Errorf("notes %s", notes)
		}
		p.Close()
	}
	got, _ := load(t, read(t, "fp8.safetensors"))
	want, _ := load(t, read(t, "values.safetensors"))
	equalTensors(t, got, want)
}

// A sweep gives what its merges give, also where one of them alone would copy codes.
func TestSweepOfFloat8(t *testing.T) {
	l := float8Layouts["blocks"]
	stored, decoded := l.splitFamily(newFamily(1, matrices()...))
	p, values := l.saveDeclared(t, stored), decoded.save(t)
	var variants []Variant
	for _, scale := range []string{"1", "0.5"} {
		variants = append(variants, Variant{p.recipe(t, ask("passthrough", "quantize=none", "scale="+scale)), p.out(scale + ".safetensors")})
	}
	s, err := NewSweep(variants, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Merge(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, scale := range []string{"1", "0.5"} {
		values.must(t, ask("passthrough", "scale="+scale, "dtype=bfloat16"), values.out(scale+".safetensors"), Options{})
		got, _ := load(t, read(t, p.out(scale+".safetensors")))
		want, _ := load(t, read(t, values.out(scale+".safetensors")))
		equalTensors(t, got, want)
	}
}

// A tensor that a model lacks is the base's, as it is decoded.
func TestMissingInFloat8(t *testing.T) {
	l := float8Layouts["blocks"]
	stored, decoded := l.splitFamily(newFamily(1, matrices()...))
	stored.models[0], decoded.models[0] = stored.models[0].without("a.weight", "a.weight_scale_inv"), decoded.models[0].without("a.weight")
	q := ask("task_arithmetic", "missing=base")
	same(t, l.saveDeclared(t, stored), q.with("quantize=none"), Options{}, decoded.save(t), q.with("dtype=bfloat16"))
}

// layered are layers of codes under a seed.
func (l float8Layout) layered(seed float64) (stored, decoded checkpoint) {
	var c checkpoint
	for _, name := range []string{"model.layers.0.q.weight", "model.layers.1.q.weight"} {
		values := make([]float64, 40*50)
		r := random(uint64(seed), name)
		for i := range values {
			values[i] = r.Float64() - 0.5
		}
		c = append(c, floats(name, format.BF16, values, 40, 50))
	}
	return l.split(append(c, floats("model.norm.weight", format.BF16, []float64{1, seed}, 2)))
}

// Codes are copied with their scales in every form of passing models on as they are, and nowhere else.
func TestFloat8IsCopied(t *testing.T) {
	l := float8Layouts["blocks"]
	l.config = strings.Replace(l.config, `{`, `{"num_hidden_layers": 2, `, 1)
	t.Chdir(t.TempDir())
	a, valuesA := l.layered(1)
	b, valuesB := l.layered(2)
	for name, c := range map[string]checkpoint{"a": a, "b": b} {
		c.save(t, name+"/model.safetensors")
		write(t, name+"/config.json", []byte(l.config))
	}
	valuesB.save(t, "plain/model.safetensors")
	write(t, "plain/config.json", []byte(`{"num_hidden_layers": 2}`))
	write(t, "out/beside", nil)
	narrow := func(c checkpoint, factor float64) (all checkpoint) {
		for _, x := range c {
			values := x.values()
			for i := range values {
				values[i] *= factor
			}
			all = append(all, floats(x.Name, format.BF16, values, x.Shape...))
		}
		return all
	}
	second := func(c checkpoint) (layer checkpoint) {
		for _, x := range c {
			if strings.HasPrefix(x.Name, "model.layers.1.") {
				layer = append(layer, x)
			}
		}
		return layer
	}
	twoLayers := "slices:\n- sources: [{model: a, layer_range: [0, 1]}]\n- sources: [{model: %, layer_range: [1, 2]}]"
	stacked := func(a, b checkpoint) checkpoint { // what lies behind the layers is the last one's
		return append(a.without(a[len(a)-1].Name, "model.layers.1.q.weight", "model.layers.1.q.weight"+l.suffix), append(second(b), b[len(b)-1])...)
	}
	for name, c := range map[string]struct {
		text string
		want checkpoint
	}{
		"whole":         {"models: [{model: a}]", a},
		"donor":         {"base_model: b\nmodels: [{model: a}]", a},
		"stack":         {strings.Replace(twoLayers, "%", "b", 1), stacked(a, b)},
		"module":        {"modules:\n  default: {slices: [{sources: [{model: a, layer_range: [0, 2]}]}]}", a},
		"scaled":        {"quantize: none\nparameters: {scale: 0.5}\nmodels: [{model: a}]", narrow(valuesA, 0.5)},
		"scaled slice":  {"quantize: none\nslices: [{sources: [{model: a, layer_range: [0, 2], parameters: {scale: 0.5}}]}]", narrow(valuesA, 0.5)},
		"filtered":      {"quantize: none\nmodels: [{model: a, parameters: {scale: [{filter: q, value: 0.5}, {value: 0.5}]}}]", narrow(valuesA, 0.5)},
		"typed":         {"dtype: bfloat16\nmodels: [{model: a}]", narrow(valuesA, 1)},
		"wide":          {"out_dtype: float32\nmodels: [{model: a}]", nil},
		"plain":         {"quantize: none\nmodels: [{model: a}]", narrow(valuesA, 1)},
		"checked":       {"quantize: none\nbase_model: b\nparameters: {nonfinite: base}\nmodels: [{model: a}]", narrow(valuesA, 1)},
		"plain model":   {"base_model: a\nmodels: [{model: plain}]", nil},
		"plain donor":   {"base_model: plain\nmodels: [{model: a}]", nil},
		"stacked plain": {"dtype: bfloat16\n" + strings.Replace(twoLayers, "%", "plain", 1), narrow(stacked(valuesA, valuesB), 1)},
		"mixed stack":   {strings.Replace(twoLayers, "%", "plain", 1), nil},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := planText("merge_method: passthrough\n"+c.text, "out/"+name)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			if _, err := p.Merge(context.Background()); err != nil {
				t.Fatal(err)
			}
			got, _ := load(t, read(t, filepath.Join("out", name, "model.safetensors")))
			copied := slices.ContainsFunc(got, func(x tensor) bool { return strings.HasSuffix(x.Name, l.suffix) })
			if config := string(read(t, filepath.Join("out", name, "config.json"))); copied != strings.Contains(config, "quantization_config") {
				t.Errorf("codes are copied: %v; config.json: %s", copied, config)
			}
			if c.want != nil {
				equalTensors(t, got, c.want)
			} else if copied {
				t.Error("codes are copied")
			}
		})
	}
	// Where every value is looked at, codes are decoded, though the values stay.
	p, err := planText("merge_method: passthrough\nbase_model: b\nparameters: {nonfinite: base}\nmodels: [{model: a}]", "")
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
}

// What identifies an input goes by what is stored, however a recipe reads it.
func TestFingerprintsOfFloat8(t *testing.T) {
	l := float8Layouts["blocks"]
	stored, _ := l.splitFamily(newFamily(1, matrices()...))
	p := l.saveDeclared(t, stored)
	inputs := func(settings ...string) (digest, inputs string) {
		t.Helper()
		plan := p.plan(t, ask("passthrough", settings...), p.out("out.safetensors"), Options{Force: true})
		defer plan.Close()
		if _, err := plan.Merge(context.Background()); err != nil {
			t.Fatal(err)
		}
		_, metadata := load(t, read(t, p.out("out.safetensors")))
		return plan.Digest(), metadata["weld.inputs"]
	}
	copied, first := inputs()
	decoded, second := inputs("quantize=none")
	if first != second || copied == decoded {
		t.Errorf("inputs %s and %s, digests %s and %s", first, second, copied, decoded)
	}
	scales := stored.models[0].find("a.weight_scale_inv")
	scales.data[len(scales.data)/2+2] ^= 1
	stored.models[0].save(t, p.models[0])
	if _, third := inputs("quantize=none"); third == second {
		t.Error("another scale has the same fingerprint")
	}
}

// Sources of a diff are compared by their values, and as they are stored where that is asked for.
func TestDiffOfFloat8(t *testing.T) {
	l := float8Layouts["blocks"]
	stored, decoded := l.splitFamily(newFamily(1, matrices()...))
	p, values := l.saveDeclared(t, stored), decoded.save(t)
	d, err := CompareCheckpoints(context.Background(), p.models[0], values.models[0], Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !d.Same() || len(d.Notes) != 0 {
		t.Errorf("%+v", d)
	}
	if d, err = CompareCheckpoints(context.Background(), p.models[0], values.models[0], Options{Raw: true}); err != nil {
		t.Fatal(err)
	}
	if len(d.OnlyA) != 3 || len(d.Tensors) != 3 || len(d.Notes) != 1 || !strings.Contains(d.Notes[0], "codes and scales are compared as they are stored") {
		t.Errorf("%+v", d)
	}
}

// A variant that would leave values as they are is made like the others: what is copied for one would be for all.
func TestSweepFromCopies(t *testing.T) {
	f := newFamily(1, small()...)
	p := f.save(t)
	var variants []Variant
	for _, scale := range []string{"1", "0.5"} {
		variants = append(variants, Variant{p.recipe(t, ask("passthrough", "scale="+scale)), p.out(scale + ".safetensors")})
		p.must(t, ask("passthrough", "scale="+scale), p.out("alone-"+scale+".safetensors"), Options{})
	}
	s, err := NewSweep(variants, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Merge(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, scale := range []string{"1", "0.5"} {
		got, _ := load(t, read(t, p.out(scale+".safetensors")))
		want, _ := load(t, read(t, p.out("alone-"+scale+".safetensors")))
		equalTensors(t, got, want)
	}
}
