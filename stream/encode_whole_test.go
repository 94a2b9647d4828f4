package stream

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weld/format"
	"weld/stream/run"
)

// wholeModel is a model whose scales are of whole tensors, and what its config.json declares.
type wholeModel struct {
	config string
	of     func(r *rand.Rand) checkpoint
	again  bool // tensors are gone through twice
}

const wholeLayer = "model.layers.0.mlp.up_proj."

func randomBytes(r *rand.Rand, n int, mask byte) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(r.Uint32()) & mask
	}
	return data
}

// wholeModels are of the schemes that are measured before they are stored, and one that lies across.
func wholeModels() map[string]wholeModel {
	norm := func(r *rand.Rand) tensor {
		return floats("model.norm.weight", format.BF16, []float64{1, r.Float64()}, 2)
	}
	compressed := func(layout, weights string) string {
		return `{"num_hidden_layers": 1, "quantization_config": {"quant_method": "compressed-tensors", "format": "` + layout + `", "version": "0.20.1", "config_groups": {"group_0": {"targets": ["Linear"], "weights": {` + weights + `}}}}}`
	}
	return map[string]wholeModel{
		"FP8 of a whole tensor": {compressed("float-quantized", `"num_bits": 8, "type": "float", "strategy": "tensor"`), func(r *rand.Rand) checkpoint {
			codes := randomBytes(r, 2200*2000, 0xf7) // no NaN
			return checkpoint{norm(r), raw(wholeLayer+"weight", format.F8E4M3, codes, 2200, 2000), floats(wholeLayer+"weight_scale", format.F32, []float64{0.5 + r.Float64()}, 1)}
		}, true},
		"NVFP4": {compressed("nvfp4-pack-quantized", `"num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16, "symmetric": true`), func(r *rand.Rand) checkpoint {
			return checkpoint{norm(r), raw(wholeLayer+"weight_packed", format.U8, randomBytes(r, 300*160, 0xff), 300, 160),
				raw(wholeLayer+"weight_scale", format.F8E4M3, randomBytes(r, 300*20, 0x77), 300, 20), floats(wholeLayer+"weight_global_scale", format.F32, []float64{100 * (1 + r.Float64())}, 1)}
		}, true},
		"integers with a zero point of a whole tensor": {compressed("int-quantized", `"num_bits": 8, "type": "int", "strategy": "tensor", "symmetric": false`), func(r *rand.Rand) checkpoint {
			return checkpoint{norm(r), raw(wholeLayer+"weight", format.I8, randomBytes(r, 2200*2000, 0xff), 2200, 2000),
				floats(wholeLayer+"weight_scale", format.F32, []float64{0.5 + r.Float64()}, 1), raw(wholeLayer+"weight_zero_point", format.I8, []byte{17}, 1)}
		}, true},
		"MXFP4 of OpenAI's own files": {`{"num_hidden_layers": 1}`, func(r *rand.Rand) checkpoint {
			const experts = "block.0.mlp.mlp1_weight"
			scales := randomBytes(r, 3*250*9, 7)
			for i := range scales {
				scales[i] += 120
			}
			return checkpoint{norm(r), raw(experts+".blocks", format.U8, randomBytes(r, 3*250*9*16, 0xff), 3, 250, 9, 16), raw(experts+".scales", format.U8, scales, 3, 250, 9)}
		}, false},
		"MXFP4 of gpt-oss": {`{"num_hidden_layers": 1, "quantization_config": {"quant_method": "mxfp4"}}`, func(r *rand.Rand) checkpoint {
			const experts = "model.layers.0.mlp.experts.gate_up_proj"
			scales := randomBytes(r, 3*250*9, 7)
			for i := range scales {
				scales[i] += 120
			}
			return checkpoint{norm(r), raw(experts+"_blocks", format.U8, randomBytes(r, 3*250*9*16, 0xff), 3, 250, 9, 16), raw(experts+"_scales", format.U8, scales, 3, 250, 9)}
		}, false},
	}
}

// save saves a model of a seed in a folder.
func (m wholeModel) save(t *testing.T, dir string, seed uint64) string {
	m.of(rand.New(rand.NewPCG(seed, 2))).save(t, filepath.Join(dir, "model.safetensors"))
	write(t, filepath.Join(dir, "config.json"), []byte(m.config))
	return dir
}

// merged merges, and returns the output's files. The progress ends where it said.
func (m wholeModel) merged(t *testing.T, text, out string, o Options) map[string]string {
	t.Helper()
	r, err := Schema().Parse("r.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	o.Force, o.Progress = true, new(run.Progress)
	p, err := Prepare(r, out, o)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if s := p.Summary(); (s.AgainBytes > 0) != m.again || s.AgainBytes > s.ReadBytes || len(p.Output.Encoded) != 1 {
		t.Errorf("%d of %d bytes are said to be read again, %d tensors are encoded: %q", s.AgainBytes, s.ReadBytes, len(p.Output.Encoded), p.Notes)
	}
	if _, err := p.Merge(context.Background()); err != nil {
		t.Fatal(err)
	}
	if phase, done := o.Progress.Now(); phase.Bytes != done || phase.Bytes != p.Costs.ReadBytes+p.Costs.AgainBytes {
		t.Errorf("%d bytes were announced, %d planned, %d read", phase.Bytes, p.Costs.ReadBytes+p.Costs.AgainBytes, done)
	}
	return tree(t, out)
}

// Threads and memory change no byte of what is stored by scales of whole tensors; and what a merge does not change keeps its bytes.
func TestScalesOfWholeTensors(t *testing.T) {
	for name, m := range wholeModels() {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			a, b := m.save(t, filepath.Join(dir, "a"), 1), m.save(t, filepath.Join(dir, "b"), 2)
			for k, text := range []string{
				"merge_method: linear\nmodels: [{model: " + a + ", parameters: {weight: 0.25}}, {model: " + b + ", parameters: {weight: 0.75}}]\n",
				"merge_method: ties\nbase_model: " + a + "\nmodels: [{model: " + b + ", parameters: {density: 0.5, weight: 1}}]\n",
			} {
				want := m.merged(t, text, filepath.Join(dir, "out"), Options{Threads: 1})
				for _, o := range []Options{{Threads: 4}, {Threads: 2, Memory: 64 << 20}, {Threads: 3, Memory: 1 << 30}} {
					if got := m.merged(t, text, filepath.Join(dir, "out"), o); !maps.Equal(want, got) {
						t.Errorf("recipe %d: %+v: other bytes", k, o)
					}
				}
				if want["config.json"] != m.config {
					t.Errorf("config.json is %s", want["config.json"])
				}
			}
			same := m.merged(t, "merge_method: linear\nmodels: [{model: "+a+"}, {model: "+a+"}]\n", filepath.Join(dir, "same"), Options{})
			got, _ := load(t, []byte(same["model.safetensors"]))
			for _, x := range m.of(rand.New(rand.NewPCG(1, 2))) {
				if y := got.find(x.Name); y == nil || !bytes.Equal(x.data, y.data) || !slices.Equal(x.Shape, y.Shape) {
					t.Errorf("%s is not what it was", x.Name)
				}
			}
		})
	}
}

// One scale of a tensor is that of the largest value of the merge, and each value has its nearest code.
func TestScaleOfAWholeTensor(t *testing.T) {
	m := wholeModels()["FP8 of a whole tensor"]
	dir := t.TempDir()
	var models []string
	var values [2][]float64
	for k := range 2 {
		models = append(models, m.save(t, filepath.Join(dir, fmt.Sprint(k)), uint64(k+1)))
		c := m.of(rand.New(rand.NewPCG(uint64(k+1), 2)))
		values[k] = c.find(wholeLayer + "weight").values()
		scale := c.find(wholeLayer + "weight_scale").values()[0]
		for i := range values[k] {
			values[k][i] *= scale
		}
	}
	text := "merge_method: linear\nmodels: [{model: " + models[0] + ", parameters: {weight: 0.25}}, {model: " + models[1] + ", parameters: {weight: 0.75}}]\n"
	got, _ := load(t, []byte(m.merged(t, text, filepath.Join(dir, "out"), Options{Memory: 64 << 20})["model.safetensors"]))
	largest, want := 0.0, make([]float64, len(values[0]))
	for i := range want {
		want[i] = 0.25*values[0][i] + 0.75*values[1][i]
		largest = max(largest, math.Abs(want[i]))
	}
	scale := got.find(wholeLayer + "weight_scale").values()[0]
	if math.Abs(scale*448/largest-1) > 1e-6 {
		t.Errorf("the scale is %v, the largest value %v", scale, largest)
	}
	for i, code := range got.find(wholeLayer + "weight").values() {
		if off := math.Abs(code*scale - want[i]); off > math.Abs(want[i])/16*1.0001+scale/512 {
			t.Fatalf("element %d: %v is stored as %v", i, want[i], code*scale)
		}
	}
}

// Of a sweep, each output has the scales of its own values.
func TestSweepsOfScalesOfWholeTensors(t *testing.T) {
	for name, m := range wholeModels() {
		dir := t.TempDir()
		a, b := m.save(t, filepath.Join(dir, "a"), 1), m.save(t, filepath.Join(dir, "b"), 2)
		var variants []Variant
		var want []map[string]string
		for k, weight := range []string{"0.25", "2.5"} {
			text := "merge_method: task_arithmetic\nbase_model: " + a + "\nmodels: [{model: " + b + ", parameters: {weight: " + weight + "}}]\n"
			r, err := Schema().Parse("r.yml", []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			variants = append(variants, Variant{r, filepath.Join(dir, fmt.Sprint("swept", k))})
			want = append(want, m.merged(t, text, filepath.Join(dir, fmt.Sprint("alone", k)), Options{}))
		}
		s, err := NewSweep(variants, Options{Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Merge(context.Background()); err != nil {
			t.Fatal(err)
		}
		s.Close()
		for k, v := range variants {
			got, _ := load(t, []byte(tree(t, v.Out)["model.safetensors"]))
			alone, _ := load(t, []byte(want[k]["model.safetensors"]))
			for _, x := range alone {
				if y := got.find(x.Name); y == nil || !bytes.Equal(x.data, y.data) {
					t.Errorf("%s: %s of variant %d is another than alone", name, x.Name, k)
				}
			}
		}
	}
}

// A value that is not finite stops the merge where the codes have none for it, and nothing is left of the output.
func TestNoCodeStopsTheMerge(t *testing.T) {
	m := wholeModels()["NVFP4"]
	dir := t.TempDir()
	a := m.save(t, filepath.Join(dir, "a"), 1)
	b := m.of(rand.New(rand.NewPCG(2, 2)))
	b = checkpoint{b[0], floats(wholeLayer+"weight", format.F32, slices.Repeat([]float64{math.Inf(1)}, 300*320), 300, 320)}
	b.save(t, filepath.Join(dir, "b", "model.safetensors"))
	p, err := planText("merge_method: linear\nmodels: [{model: "+a+", parameters: {weight: 0.5}}, {model: "+filepath.Join(dir, "b")+", parameters: {weight: 0.5}}]\nparameters: {nonfinite: propagate}\n", filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Merge(context.Background()); err == nil || !strings.Contains(err.Error(), "no code") {
		t.Error(err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*out*")); len(files) > 0 {
		t.Errorf("%q are left", files)
	}
}
