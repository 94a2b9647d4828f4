package quant

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"weld/format"
)

// narrowTerms is what the metadata says of a class of narrow floats.
func narrowTerms(class, element string, block int, swizzled bool, names string) string {
	return fmt.Sprintf(`{"_type": %q, "_data": {"elem_dtype": %s, "block_size": %d, "orig_dtype": {"_type": "torch.dtype", "_data": "bfloat16"}, "is_swizzled_scales": %t}, "_tensor_data_names": [%s]}`,
		class, element, block, swizzled, names)
}

// swizzle lays scales out as tiles by the formula of the layout's documentation.
func swizzle(scales []byte, rows, cols int) []byte {
	tiles := (cols + 3) / 4
	laid := make([]byte, (rows+127)/128*tiles*512)
	for r := range rows {
		for c := range cols {
			laid[(r/128*tiles+c/4)*512+r%32*16+r%128/32*4+c%4] = scales[r*cols+c]
		}
	}
	return laid
}

// Weights larger than a piece, of one matrix and of several, whose scales lie in either order.
func TestTorchAONarrow(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	values := []float32{0, 0.5, 1, 1.5, 2, 3, 4, 6, float32(math.Copysign(0, -1)), -0.5, -1, -1.5, -2, -3, -4, -6}
	for _, c := range []struct {
		experts, rows, cols, block int64
		global                     []int64 // nil for none
	}{
		{1, 300, 640, 32, nil}, {1, 300, 528, 16, []int64{}}, {2, 256, 320, 16, []int64{2, 1, 1}}, {3, 128, 96, 32, nil}, {2, 256, 160, 16, []int64{1}},
	} {
		for _, swizzled := range []bool{false, true} {
			scaleType, terms := format.F8E8M0, narrowTerms("MXTensor", `{"_type": "torch.dtype", "_data": "float4_e2m1fn_x2"}`, int(c.block), swizzled, `"qdata", "scale"`)
			if c.block == 16 {
				scaleType, terms = format.F8E4M3, narrowTerms("NVFP4Tensor", `null`, 16, swizzled, `"per_tensor_scale", "qdata", "scale"`)
			}
			shape := []int64{c.experts, c.rows, c.cols / 2}
			if c.experts == 1 {
				shape = shape[1:]
			}
			codes := random(r, "q._weight_qdata", format.U8, shape...)
			scaleShape := slices.Clone(shape)
			scaleShape[len(shape)-1] = c.cols / c.block
			scales := random(r, "q._weight_scale", scaleType, scaleShape...)
			for i := range scales.data {
				scales.data[i] &= 0x7e // numbers
			}
			factors := make([]float32, len(scales.data))
			decodeScales(scaleType, factors, scales.data)
			list := []stored{codes}
			if c.global != nil {
				global := random(r, "q._weight_per_tensor_scale", format.F32, c.global...)
				for i := range factors {
					g := global.numbers()
					factors[i] *= g[int64(i)*c.block/(c.rows*c.cols)%int64(len(g))]
				}
				list = append(list, global)
			}
			if swizzled {
				scales.data = swizzle(scales.data, int(c.experts*c.rows), int(c.cols/c.block))
				tiles := (c.cols/c.block + 3) / 4
				scales.Shape = []int64{(c.rows + 127) / 128 * 32, tiles * 16}
				if c.experts > 1 {
					scales.Shape = []int64{c.experts, c.rows / 4, tiles * 16}
				}
			}
			v, err := Show(told{saved(t, append(list, scales)...), map[string]string{"q.weight": terms}}, Declared{})
			if err != nil {
				t.Fatal(err)
			}
			want := make([]float32, 2*len(codes.data))
			for at := range want {
				want[at] = values[codes.data[at/2]>>(4*(at%2))&15] * factors[int64(at)/c.block]
			}
			if x := v.Tensors(); len(x) != 1 || x[0].Name != "q.weight" || x[0].StoredDType() != format.BF16 {
				t.Fatalf("%v", x)
			}
			holdRanges(t, v, 0, encoded(want))
		}
	}
}

// Integers of four bits, more rows than have room at a time, and a last group that is cut.
func TestTorchAOInt4(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, c := range []struct{ experts, rows, cols, group int64 }{{1, 300, 640, 128}, {2, 70, 1000, 16}, {1, 3, 150_000, 32}, {1, 2000, 64, 2}} {
		shape := []int64{c.experts, c.rows, c.cols}
		if c.experts == 1 {
			shape = shape[1:]
		}
		n := len(shape)
		groups := (c.cols + c.group - 1) / c.group
		packed, laid, block := slices.Clone(shape), append(slices.Clone(shape[:n-2]), groups, c.rows), slices.Repeat([]int64{1}, n)
		packed[n-1], block[n-1] = c.cols/2, c.group
		codes, scale, zero := random(r, "q._weight_qdata", format.I8, packed...), random(r, "q._weight_scale", format.F32, laid...), random(r, "q._weight_zero_point", format.F32, laid...)
		terms := fmt.Sprintf(`{"_type": "Int4Tensor", "_data": {"block_size": %s, "shape": %s, "activation_dtype": {"_data": "bfloat16"}}, "_tensor_data_names": ["qdata", "scale", "zero_point"]}`, listed(block), listed(shape))
		v, err := Show(told{saved(t, codes, scale, zero), map[string]string{"q.weight": terms}}, Declared{})
		if err != nil {
			t.Fatal(err)
		}
		want, scales, zeros := make([]float32, c.experts*c.rows*c.cols), scale.numbers(), zero.numbers()
		for at := range want {
			e, row, col := int64(at)/c.cols/c.rows, int64(at)/c.cols%c.rows, int64(at)%c.cols
			code := int(codes.data[at/2]) >> (4 * (at % 2)) & 15
			if code > 7 {
				code -= 16
			}
			of := (e*groups+col/c.group)*c.rows + row
			want[at] = float32(float32(code)*scales[of]) + zeros[of]
		}
		if x := v.Tensors(); len(x) != 1 || !slices.Equal(x[0].Shape, shape) || x[0].StoredDType() != format.F32 {
			t.Fatalf("%v", x)
		}
		holdRanges(t, v, 0, encoded(want))
	}
}

// listed is a list as JSON has it.
func listed(x []int64) string {
	text := "["
	for i, n := range x {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprint(n)
	}
	return text + "]"
}

func TestTorchAONarrowRefused(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	codes := random(r, "q._weight_qdata", format.U8, 8, 32)
	mx, nv := random(r, "q._weight_scale", format.F8E8M0, 8, 2), random(r, "q._weight_scale", format.F8E4M3, 8, 4)
	int4 := func(block, shape string) string {
		return `{"_type": "Int4Tensor", "_data": {"block_size": ` + block + `, "shape": ` + shape + `}, "_tensor_data_names": ["qdata", "scale", "zero_point"]}`
	}
	const pair, both = `"float4_e2m1fn_x2"`, `"qdata", "scale"`
	scale, zero := random(r, "q._weight_scale", format.BF16, 2, 8), random(r, "q._weight_zero_point", format.BF16, 2, 8)
	for name, c := range map[string]struct {
		terms string
		list  []stored
	}{
		"a type of codes":        {narrowTerms("MXTensor", `"fp5"`, 32, false, both), []stored{codes, mx}},
		"codes of another type":  {narrowTerms("MXTensor", `"float8_e4m3fn"`, 32, false, both), []stored{codes, mx}},
		"scales of another type": {narrowTerms("MXTensor", pair, 32, false, both), []stored{codes, random(r, "q._weight_scale", format.F32, 8, 2)}},
		"no scales":              {narrowTerms("MXTensor", pair, 32, false, `"qdata"`), []stored{codes, mx}},
		"another block":          {narrowTerms("MXTensor", pair, 16, false, both), []stored{codes, mx}},
		"a rest of columns":      {narrowTerms("MXTensor", pair, 32, false, both), []stored{random(r, "q._weight_qdata", format.U8, 8, 40), mx}},
		"no block":               {narrowTerms("MXTensor", pair, 0, false, both), []stored{codes, mx}},
		"said to be swizzled":    {narrowTerms("MXTensor", pair, 32, true, both), []stored{codes, mx}},
		"not said to be":         {narrowTerms("NVFP4Tensor", `null`, 16, false, both), []stored{codes, random(r, "q._weight_scale", format.F8E4M3, 32, 16)}},
		"a global scale":         {narrowTerms("NVFP4Tensor", `null`, 16, false, both+`, "per_tensor_scale"`), []stored{codes, nv, random(r, "q._weight_per_tensor_scale", format.F32, 8)}},
		"a global scale, lost":   {narrowTerms("NVFP4Tensor", `null`, 16, false, both+`, "per_tensor_scale"`), []stored{codes, nv}},
		"something else":         {narrowTerms("NVFP4Tensor", `null`, 16, false, both+`, "rotation"`), []stored{codes, nv, random(r, "q._weight_rotation", format.F32, 8)}},
		"bytes of floats":        {narrowTerms("NVFP4Tensor", `null`, 16, false, both), []stored{random(r, "q._weight_qdata", format.F8E4M3, 8, 32), nv}},
		"int4, another block":    {int4("[1, 16]", "[8, 64]"), []stored{codes, scale, zero}},
		"int4, blocks of rows":   {int4("[2, 32]", "[8, 64]"), []stored{codes, scale, zero}},
		"int4, another shape":    {int4("[1, 32]", "[8, 32]"), []stored{codes, scale, zero}},
		"int4, no zeros":         {int4("[1, 32]", "[8, 64]"), []stored{codes, scale}},
		"int4, rows first":       {int4("[1, 32]", "[8, 64]"), []stored{codes, random(r, "q._weight_scale", format.BF16, 8, 2), zero}},
		"int4, two types":        {int4("[1, 32]", "[8, 64]"), []stored{codes, scale, random(r, "q._weight_zero_point", format.F32, 2, 8)}},
		"int4, for oneDNN":       {`{"_type": "Int4PlainInt32Tensor", "_data": {"block_size": [1, 32], "shape": [8, 64]}, "_tensor_data_names": ["qdata", "scale", "zero_point"]}`, []stored{codes, scale, zero}},
		"int4, tiles":            {`{"_type": "Int4TilePackedTo4dTensor", "_data": {"block_size": [1, 32], "shape": [8, 64]}, "_tensor_data_names": ["qdata", "scale_and_zero"]}`, []stored{codes, scale}},
	} {
		_, err := Show(told{saved(t, c.list...), map[string]string{"q.weight": c.terms}}, Declared{})
		if e, ok := err.(*format.Error); !ok || e.Kind != format.KindScheme || e.Tensor != codes.Name {
			t.Errorf("%s: %v", name, err)
		}
	}
}
