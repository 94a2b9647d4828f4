package quant

import (
	"math/rand/v2"
	"slices"
	"testing"

	"weld/format"
)

// shownNames are the names of what a checkpoint shows, sorted.
func shownNames(t *testing.T, d Declared, list ...stored) (names []string, v format.Checkpoint) {
	t.Helper()
	v, err := Show(saved(t, list...), d)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range v.Tensors() {
		names = append(names, x.Name)
	}
	slices.Sort(names)
	return names, v
}

// A module is of the group that fits it best: by its name, then by an expression, then by a class, which files do not name. Where
// groups fit as well as each other, tensors decide; ignored modules and those without codes are plain.
func TestGroupsOfModules(t *testing.T) {
	const int8s, float8s = `{"num_bits": 8, "strategy": "channel"}`, `{"num_bits": 8, "type": "float", "strategy": "channel"}`
	group := func(target, weights, layout string) string {
		return `{"targets": ["` + target + `"], "weights": ` + weights + `, "format": "` + layout + `"}`
	}
	for name, c := range map[string]struct {
		first, second string // groups
		fails         bool
	}{
		"name before class":      {group("m.0.up", int8s, "int-quantized"), group("Linear", float8s, "float-quantized"), false},
		"expression over class":  {group("Linear", float8s, "float-quantized"), group("re:.*0[.]up$", int8s, "int-quantized"), false},
		"name before expression": {group("re:m[.]0", float8s, "float-quantized"), group("m.0.up", int8s, "int-quantized"), false},
		"tensors decide":         {group("Linear", int8s, "int-quantized"), group("Embedding", float8s, "float-quantized"), false},
		"what Python reads":      {group("re:(?!head).*up", int8s, "int-quantized"), group("re:.*down", float8s, "float-quantized"), false},
		"the same twice":         {group("Linear", int8s, "int-quantized"), group("Embedding", int8s, "int-quantized"), false},
		"either":                 {group("Linear", int8s, "int-quantized"), group("Embedding", int8s, "naive-quantized"), true},
		"expressions begin":      {group("re:0[.]up", int8s, "int-quantized"), group("b", int8s, "int-quantized"), false},
		"nothing fits":           {group("re:0[.]up", int8s, "int-quantized"), group("re:.*down", int8s, "int-quantized"), true},
		"another fits":           {group("m.0.up", float8s, "float-quantized"), group("Linear", int8s, "int-quantized"), true},
	} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(13, 14))
			d := Declared{Config: []byte(`{"quantization_config": {"quant_method": "compressed-tensors", "format": "mixed-precision", "ignore": ["lm_head"],
				"config_groups": {"group_0": ` + c.first + `, "group_1": ` + c.second + `}}}`)}
			list := []stored{
				random(r, "lm_head.weight", format.BF16, 4, 4), random(r, "m.0.up.input_scale", format.F32, 1),
				random(r, "m.0.up.weight", format.I8, 4, 4), random(r, "m.0.up.weight_scale", format.F16, 4, 1), random(r, "m.1.up.weight", format.F32, 4, 4),
			}
			v, err := Show(saved(t, list...), d)
			if c.fails != (format.KindOf(err) == format.KindScheme) {
				t.Fatal(err)
			}
			if c.fails {
				return
			}
			if i, ok := v.Find("m.0.up.weight"); !ok || len(v.Tensors()) != 3 || v.Tensors()[i].DType != format.F32 || v.Tensors()[i].StoredDType() != format.F16 {
				t.Error(v.Tensors())
			}
		})
	}
}

// What earlier releases declare: schemes in an object of their own, block sizes as text, no strategy.
func TestEarlierConfigurations(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	list := []stored{random(r, "a.weight", format.F8E4M3, 20, 40), random(r, "a.weight_scale", format.F32, 2, 3)}
	d := Declared{Config: []byte(`{"compression_config": {"quantization_config": {"format": "float-quantized", "config_groups":
		{"group_0": {"targets": ["Linear"], "weights": {"type": "FLOAT", "strategy": "block", "block_structure": "16x16"}}}}}}`)}
	names, v := shownNames(t, d, list...)
	if !slices.Equal(names, []string{"a.weight"}) {
		t.Fatal(names)
	}
	values, scales := contents(t, v, 0), list[1].numbers()
	codes := make([]float32, len(values))
	format.Decode(format.F8E4M3, codes, list[0].data)
	for i := range values {
		if want := codes[i] * scales[i/40/16*3+i%40/16]; values[i] != want && want == want {
			t.Fatalf("element %d: %v, not %v", i, values[i], want)
		}
	}
	d = Declared{Config: []byte(`{"compression_config": {"quant_method": "compressed-tensors", "sparsity_config": {"format": "sparse-24-bitmask"}, "quantization_config": {"config_groups": {}}}}`)}
	masked := stored{Tensor: format.Tensor{Name: "a.bitmask", DType: format.U8, Shape: []int64{1, 1}}, data: []byte{0b0101}}
	if names, v = shownNames(t, d, random(r, "a.compressed", format.BF16, 1, 2), masked, int64s("a.shape", 1, 4)); !slices.Equal(names, []string{"a.weight"}) || v.Tensors()[0].StoredDType() != format.BF16 {
		t.Error(v.Tensors())
	}
	for _, weights := range []string{`{"num_bits": 8, "group_size": -1}`, `{"num_bits": 8, "group_size": 64}`, `{}`} {
		scales := map[string][]int64{`{}`: {1}}[weights]
		if scales == nil {
			scales = []int64{4, 1}
		}
		if names, _ := shownNames(t, declare(weights, "int-quantized"), random(r, "a.weight", format.I8, 4, 64), random(r, "a.weight_scale", format.F32, scales...)); len(names) != 1 {
			t.Errorf("%s: %v", weights, names)
		}
	}
}

// Scales of activations vanish; a scale of that name without a weight stays.
func TestCompressedActivations(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	list := []stored{
		random(r, "a.weight", format.I8, 4, 64), random(r, "a.weight_scale", format.F32, 4, 1), random(r, "a.bias", format.BF16, 4),
		random(r, "a.input_scale", format.F32, 1), random(r, "a.input_zero_point", format.I8, 1), random(r, "a.output_scale", format.F32, 1),
		random(r, "norm.input_scale", format.F32, 4),
	}
	d := declare(`{"num_bits": 8, "strategy": "channel"}`, "int-quantized")
	if names, _ := shownNames(t, d, list...); !slices.Equal(names, []string{"a.bias", "a.weight", "norm.input_scale"}) {
		t.Error(names)
	}
}

// Codes of modules that are not declared are left to be refused.
func TestCompressedUndeclared(t *testing.T) {
	r := rand.New(rand.NewPCG(19, 20))
	list := []stored{random(r, "a.weight_packed", format.I32, 4, 8), random(r, "a.weight_scale", format.F32, 4, 4), int64s("a.weight_shape", 4, 64)}
	for _, d := range []Declared{{}, {Config: []byte(`{"quantization_config": {"quant_method": "gptq", "bits": 4}}`)}} {
		c := saved(t, list...)
		v, err := Show(c, d)
		if err != nil || v != c {
			t.Errorf("%v is decoded: %v", d, err)
		}
		if s, _ := Recognize(d, v.Tensors()); s == nil {
			t.Error("not recognised")
		}
	}
}

// Experts that are one tensor: each has codes, scales and zero points of its own.
func TestCompressedExperts(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	const experts, rows, cols, size = 3, 10, 48, 16
	packed, scales, zeros := random(r, "a.weight_packed", format.I32, experts, rows, cols/8), random(r, "a.weight_scale", format.F32, experts, rows, cols/size), random(r, "a.weight_zero_point", format.I32, experts, 2, cols/size)
	_, v := shownNames(t, declare(`{"num_bits": 4, "group_size": 16, "symmetric": false}`, "pack-quantized"), packed, scales, zeros, int64s("a.weight_shape", experts, rows, cols))
	factors := scales.numbers()
	for at, got := range contents(t, v, 0) {
		e, row, col := at/cols/rows, at/cols%rows, at%cols
		code := int(packed.data[at/2]) >> (4 * (col % 2)) & 15
		zero := int(zeros.data[4*((e*2+row/8)*cols/size+col/size)+row%8/2]) >> (4 * (row % 2)) & 15
		if want := float32(code-zero) * factors[(e*rows+row)*cols/size+col/size]; got != want {
			t.Fatalf("element %d: %v, not %v", at, got, want)
		}
	}
	holdRanges(t, v, 0, whole(t, v, 0))
}
