package quant

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"weld/format"
)

// NVFP4 of ModelOpt: code × (scale × scale_2), rounded twice to float32; its code of a sign alone is zero.
func TestModelOpt(t *testing.T) {
	r := rand.New(rand.NewPCG(23, 24))
	const rows, cols = 5, 96
	codes, scales, global := random(r, "a.weight", format.U8, rows, cols/2), random(r, "a.weight_scale", format.F8E4M3, rows, cols/16), random(r, "a.weight_scale_2", format.F32)
	for i := range scales.data {
		scales.data[i] &= 0x7e // 0x7f is no number
	}
	list := []stored{codes, scales, global, random(r, "a.input_scale", format.F32), random(r, "b.weight", format.BF16, 4, 4)}
	d := Declared{QuantConfig: []byte(`{"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "NVFP4", "group_size": 16}}`)}
	names, v := shownNames(t, d, list...)
	if !slices.Equal(names, []string{"a.weight", "b.weight"}) {
		t.Fatal(names)
	}
	factors := make([]float32, rows*cols/16)
	format.Decode(format.F8E4M3, factors, scales.data)
	table := []float32{0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6}
	i, _ := v.Find("a.weight")
	for at, got := range contents(t, v, i) {
		scale := factors[at/16] * global.numbers()[0]
		if want := table[codes.data[at/2]>>(4*(at%2))&15] * scale; math.Float32bits(got) != math.Float32bits(want) {
			t.Fatalf("element %d: %v, not %v", at, got, want)
		}
	}
	holdRanges(t, v, i, whole(t, v, i))

	for name, c := range map[string]struct {
		list []stored
		says string
	}{
		"groups":      {[]stored{codes, random(r, "a.weight_scale", format.F8E4M3, rows, cols/32), global}, "scales of shape [5 3]"},
		"type":        {[]stored{codes, random(r, "a.weight_scale", format.BF16, rows, cols/16), global}, "scales of BF16"},
		"global":      {[]stored{codes, scales, random(r, "a.weight_scale_2", format.F32, 2)}, "shape [2]"},
		"smoothed":    {[]stored{codes, scales, global, random(r, "a.pre_quant_scale", format.BF16, cols)}, "pre_quant_scale"},
		"not a group": {[]stored{random(r, "a.weight", format.U8, rows, 7), random(r, "a.weight_scale", format.F8E4M3, rows, 0), global}, "shape [5 7]"},
	} {
		if _, err := Show(saved(t, c.list...), d); format.KindOf(err) != format.KindScheme || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := saved(t, codes, scales, global)
	if v, err := Show(c, Declared{}); err != nil || v != c {
		t.Errorf("not declared: %v, %v", v, err)
	}
}

// The library's own files are decoded as it decodes them.
func TestGoldenModelOpt(t *testing.T) { holdGolden(t, "modelopt") }
