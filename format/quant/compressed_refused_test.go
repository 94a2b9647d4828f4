package quant

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"weld/format"
)

// int64s is a tensor of 64-bit integers, in one dimension.
func int64s(name string, values ...int64) stored {
	x := stored{Tensor: format.Tensor{Name: name, DType: format.I64, Shape: []int64{int64(len(values))}}, data: make([]byte, 8*len(values))}
	for i, v := range values {
		put32(x.data[8*i:], uint32(v))
		put32(x.data[8*i+4:], uint32(v>>32))
	}
	return x
}

// int32s is the same of 32 bits.
func int32s(name string, values ...int32) stored {
	x := stored{Tensor: format.Tensor{Name: name, DType: format.I32, Shape: []int64{int64(len(values))}}, data: make([]byte, 4*len(values))}
	for i, v := range values {
		put32(x.data[4*i:], uint32(v))
	}
	return x
}

// Files whose tensors do not fit each other, or what is declared, are refused before any work, with what is wrong.
func TestCompressedRefused(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	const group4, channel = `{"num_bits": 4, "group_size": 16}`, `{"num_bits": 8, "strategy": "channel"}`
	const nv, mx = `{"num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16}`, `{"num_bits": 4, "type": "float", "group_size": 32}`
	packed, scale, shape := random(r, "a.weight_packed", format.I32, 4, 8), random(r, "a.weight_scale", format.F32, 4, 4), int64s("a.weight_shape", 4, 64)
	whole, row := random(r, "a.weight", format.I8, 4, 64), random(r, "a.weight_scale", format.F32, 4, 1)
	f8, bytes := random(r, "a.weight", format.F8E4M3, 4, 64), random(r, "a.weight_packed", format.U8, 4, 32)
	f8scale, u8scale, global := random(r, "a.weight_scale", format.F8E4M3, 4, 4), random(r, "a.weight_scale", format.U8, 4, 2), random(r, "a.weight_global_scale", format.F32, 1)
	index := make([]int32, 64)
	for i := range index {
		index[i] = int32(i / 16)
	}
	unequal, beyond := slices.Clone(index), slices.Clone(index)
	unequal[0], beyond[0] = 1, 4
	all := func(of ...stored) []stored { return of }
	for name, c := range map[string]struct {
		tensors []stored
		d       Declared
		says    string
	}{
		"no shape":              {all(packed, scale), declare(group4, "pack-quantized"), `"a.weight_shape" is not there`},
		"another shape":         {all(packed, scale, int64s("a.weight_shape", 4, 96)), declare(group4, "pack-quantized"), "scales of shape [4 4]"},
		"a shape beyond words":  {all(packed, scale, int64s("a.weight_shape", 4, 64)), declare(`{"num_bits": 8, "group_size": 16}`, "pack-quantized"), "shape [4 8] is not that of packed codes"},
		"rows":                  {all(packed, scale, int64s("a.weight_shape", 5, 64)), declare(group4, "pack-quantized"), "for a weight of shape [5 64]"},
		"a shape below zero":    {all(packed, scale, int64s("a.weight_shape", -4, 64)), declare(group4, "pack-quantized"), "says [-4 64]"},
		"a shape without end":   {all(packed, scale, int64s("a.weight_shape", 1<<40, 1<<40)), declare(group4, "pack-quantized"), "says ["},
		"a shape of one":        {all(packed, scale, int64s("a.weight_shape", 64)), declare(group4, "pack-quantized"), "and no shape"},
		"no scale":              {all(packed, shape), declare(group4, "pack-quantized"), `"a.weight_scale" is not there`},
		"bits":                  {all(packed, scale, shape), declare(`{"num_bits": 9, "group_size": 16}`, "pack-quantized"), "num_bits 9"},
		"another type":          {all(packed, scale, shape), declare(`{"num_bits": 4, "type": "float", "group_size": 16}`, "pack-quantized"), `type "float"`},
		"groups":                {all(packed, scale, shape), declare(`{"num_bits": 4, "group_size": 32}`, "pack-quantized"), `strategy "group" asks for [4 2]`},
		"an uneven group":       {all(packed, scale, shape), declare(`{"num_bits": 4, "group_size": 24}`, "pack-quantized"), "groups of 24 columns"},
		"a strategy":            {all(packed, scale, shape), declare(`{"num_bits": 4, "strategy": "spiral"}`, "pack-quantized"), `strategy "spiral"`},
		"one for all":           {all(packed, scale, shape), declare(`{"num_bits": 4}`, "pack-quantized"), "one is declared for the whole tensor"},
		"no zero points":        {all(packed, scale, shape), declare(`{"num_bits": 4, "group_size": 16, "symmetric": false}`, "pack-quantized"), "declared not to be symmetric"},
		"zero points":           {all(packed, scale, shape, random(r, "a.weight_zero_point", format.I8, 4, 4)), declare(group4, "pack-quantized"), "declared to be symmetric"},
		"other zero points":     {all(packed, scale, shape, random(r, "a.weight_zero_point", format.I32, 1, 5)), declare(`{"num_bits": 4, "group_size": 16, "symmetric": false}`, "pack-quantized"), "zero points of I32"},
		"more zero points":      {all(packed, scale, shape, random(r, "a.weight_zero_point", format.I32, 2, 4)), declare(`{"num_bits": 4, "group_size": 16, "symmetric": false}`, "pack-quantized"), "is not that of packed codes"},
		"scales of powers":      {all(packed, random(r, "a.weight_scale", format.U8, 4, 4), shape), declare(group4, "pack-quantized"), "scales of U8"},
		"an unequal order":      {all(packed, scale, shape, int32s("a.weight_g_idx", unequal...)), declare(group4, "pack-quantized"), "group 0 has 15 columns of 64"},
		"an order beyond":       {all(packed, scale, shape, int32s("a.weight_g_idx", beyond...)), declare(group4, "pack-quantized"), "column 0 belongs to group 4 of 4"},
		"a short order":         {all(packed, scale, shape, int32s("a.weight_g_idx", index[1:]...)), declare(group4, "pack-quantized"), "weight_g_idx"},
		"a second level":        {all(packed, scale, shape, global), declare(group4, "pack-quantized"), "weight_global_scale"},
		"not its name":          {all(whole, row), declare(channel, "pack-quantized"), "contradict"},
		"no layout":             {all(whole, row), declare(channel, "zigzag"), "a layout that weld does not know"},
		"dense":                 {all(whole, row), declare(channel, "dense"), "a layout that weld does not know"},
		"marlin":                {all(packed, scale, shape), declare(group4, "marlin-24"), "a layout that weld does not know"},
		"floats as integers":    {all(f8, row), declare(channel, "int-quantized"), "contradict"},
		"integers as floats":    {all(whole, row), declare(`{"num_bits": 8, "type": "float", "strategy": "channel"}`, "float-quantized"), "contradict"},
		"wider integers":        {all(random(r, "a.weight", format.I16, 4, 64), row), declare(channel, "int-quantized"), "contradict"},
		"blocks":                {all(f8, random(r, "a.weight_scale", format.F32, 1, 1)), declare(`{"type": "float", "strategy": "block", "block_structure": [2, 64]}`, "float-quantized"), `strategy "block" asks for [2 1]`},
		"blocks of nothing":     {all(f8, row), declare(`{"type": "float", "strategy": "block"}`, "float-quantized"), "blocks of [0 0]"},
		"no global scale":       {all(bytes, f8scale), declare(nv, "nvfp4-pack-quantized"), `"a.weight_global_scale" is not there`},
		"a wide global scale":   {all(bytes, f8scale, random(r, "a.weight_global_scale", format.F32, 4)), declare(nv, "nvfp4-pack-quantized"), "weight_global_scale"},
		"powers, floats":        {all(bytes, random(r, "a.weight_scale", format.F32, 4, 2)), declare(mx, "mxfp4-pack-quantized"), "scales of F32"},
		"six bits of thirds":    {all(bytes, u8scale), declare(`{"num_bits": 6, "type": "float", "group_size": 32}`, "mxfp6-pack-quantized"), "contradict"},
		"four bits as six":      {all(bytes, u8scale), declare(mx, "mxfp6-pack-quantized"), "contradict"},
		"ignored":               {all(named(whole, "head.weight"), named(row, "head.weight_scale")), declare(channel, "int-quantized"), "(ignore)"},
		"nobody's":              {all(whole, row), edited(t, declare(channel, "int-quantized"), "Linear", "b.c"), "no group of the configuration"},
		"rotated":               {all(whole, row), edited(t, declare(channel, "int-quantized"), `"ignore"`, `"transform_config": {"config_groups": {"u": {}}}, "ignore"`), "rotated"},
		"no configuration":      {all(whole, row), Declared{Config: []byte(`{"quantization_config": {"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": {"num_bits": "8"}}}}}`)}, "read the configuration"},
		"a block of one number": {all(f8, row), declare(`{"type": "float", "strategy": "block", "block_structure": [128]}`, "float-quantized"), "block_structure [128]"},
		"a mask of nothing":     {all(random(r, "a.compressed", format.F32, 9), random(r, "a.bitmask", format.U8, 4, 2), int64s("a.shape", 4, 9), int64s("a.row_offsets", 0, 1, 2, 3)), declare(channel, "dense"), `declared is "dense"`},
		"a short mask":          {all(random(r, "a.compressed", format.F32, 9), random(r, "a.bitmask", format.U8, 4, 1), int64s("a.shape", 4, 9), int64s("a.row_offsets", 0, 1, 2, 3)), declare(channel, "sparse-bitmask"), "a bitmask of U8 and shape [4 1]"},
		"few offsets":           {all(random(r, "a.compressed", format.F32, 9), random(r, "a.bitmask", format.U8, 4, 2), int64s("a.shape", 4, 9), int64s("a.row_offsets", 0, 1, 2)), declare(channel, "sparse-bitmask"), "row_offsets of I64"},
		"not a half":            {all(random(r, "a.compressed", format.F32, 4, 4), random(r, "a.bitmask", format.U8, 4, 2), int64s("a.shape", 4, 12)), declare(channel, "sparse-24-bitmask"), "for half of a weight"},
		"an odd half":           {all(random(r, "a.compressed", format.F32, 4, 4), random(r, "a.bitmask", format.U8, 4, 2), int64s("a.shape", 4, 9)), declare(channel, "sparse-24-bitmask"), "for half of a weight"},
		"too large":             {all(packed, scale, int64s("a.weight_shape", 1<<30, 1<<20)), declare(group4, "pack-quantized"), "says ["},
		"wide zero points":      {all(packed, scale, shape, random(r, "a.weight_zero_point", format.I8, 4, 5)), declare(`{"num_bits": 4, "group_size": 16, "symmetric": false}`, "pack-quantized"), "zero points of I8"},
		"packed for one":        {all(packed, random(r, "a.weight_scale", format.F32, 1), shape, random(r, "a.weight_zero_point", format.I32, 1)), declare(`{"num_bits": 4, "symmetric": false}`, "pack-quantized"), "zero points of I32"},
		"floats from zero on":   {all(f8, row, random(r, "a.weight_zero_point", format.I8, 4, 1)), declare(`{"type": "float", "strategy": "channel", "symmetric": false}`, "float-quantized"), "of floats"},
		"two that differ":       {all(whole, row), edited(t, declare(channel, "int-quantized"), `{"quantization_config"`, `{"text_config": {"quantization_config": {"quant_method": "compressed-tensors"}}, "quantization_config"`), "two configurations that differ"},
		"masked codes alone":    {all(random(r, "a.compressed", format.I8, 4, 4), random(r, "a.bitmask", format.U8, 4, 1), int64s("a.shape", 4, 8)), declare(channel, "sparse-24-bitmask"), "I8 without scales"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Show(saved(t, c.tensors...), c.d)
			if format.KindOf(err) != format.KindScheme || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, not %q", err, c.says)
			}
		})
	}
}

// named is a tensor under another name.
func named(x stored, name string) stored {
	x.Name = name
	return x
}

// Masks that do not fit their offsets are found when a row is read, whatever part of it.
func TestMaskedDamage(t *testing.T) {
	values := int32s("a.compressed", 1, 2, 3, 4)
	values.DType = format.F32
	mask := stored{Tensor: format.Tensor{Name: "a.bitmask", DType: format.U8, Shape: []int64{2, 2}}, data: []byte{0b11, 0, 0b1, 1}}
	for name, c := range map[string]struct {
		offsets []int64
		mask    byte
		lo, hi  int64 // elements that are read
	}{
		"fits":           {[]int64{0, 2}, 0b11, 1, 18},
		"a bit too many": {[]int64{0, 2}, 0b111, 1, 3},
		"a bit too few":  {[]int64{0, 2}, 0b1, 1, 3},
		"beyond":         {[]int64{3, 5}, 0b11, 0, 1},
		"below":          {[]int64{-1, 1}, 0b11, 1, 9},
		"not from zero":  {[]int64{1, 3}, 0b11, 1, 18},
	} {
		mask.data[0] = c.mask
		v, err := Show(saved(t, values, mask, int64s("a.shape", 2, 9), int64s("a.row_offsets", c.offsets...)), declare(`{}`, "sparse-bitmask"))
		if err != nil {
			t.Fatal(err)
		}
		view, err := v.View(0, 4*c.lo, 4*(c.hi-c.lo))
		if (err == nil) != (name == "fits") {
			t.Errorf("%s: %v", name, err)
		}
		view.Release()
	}
}

// Three-bit codes may go over the border of two words or not, in shapes that are the same: the release decides, and where it is not said, nobody.
func TestPackingByRelease(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	list := []stored{random(r, "a.weight_packed", format.I32, 4, 2), random(r, "a.weight_scale", format.F32, 4, 1), int64s("a.weight_shape", 4, 20)}
	values := make(map[string]float32)
	for _, version := range []string{"0.20.1", "0.15.0", "0.12.2", "0.17.0", "tomorrow", "1.0"} {
		v, err := Show(saved(t, list...), edited(t, declare(`{"num_bits": 3, "strategy": "channel"}`, "pack-quantized"), "0.20.1", version+`", "x": "`))
		if version == "0.17.0" || version == "tomorrow" {
			if format.KindOf(err) != format.KindScheme || !strings.Contains(err.Error(), "does not say") {
				t.Errorf("%s: %v", version, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		values[version] = contents(t, v, 0)[15]
	}
	if values["0.20.1"] != values["1.0"] || values["0.15.0"] != values["0.12.2"] || values["0.20.1"] == values["0.12.2"] {
		t.Error(values)
	}
}
