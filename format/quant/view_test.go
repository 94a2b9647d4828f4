package quant

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"weld/format"
	"weld/format/open"
	"weld/format/safetensors"
	"weld/internal/vec"
	"weld/mmapio"
)

// stored is a tensor with its bytes.
type stored struct {
	format.Tensor
	data []byte
}

// saved writes tensors to a file and opens it.
func saved(t testing.TB, tensors ...stored) format.Checkpoint {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.safetensors")
	staging, err := mmapio.NewStaging(mmapio.OS, path, mmapio.SingleFile)
	if err != nil {
		t.Fatal(err)
	}
	list := make([]format.Tensor, len(tensors))
	for i, x := range tensors {
		list[i] = x.Tensor
	}
	layout, err := safetensors.NewLayout(list, nil, safetensors.OneShard)
	if err != nil {
		t.Fatal(err)
	}
	file, err := staging.Create(filepath.Base(path), layout.Shards[0].Size)
	if err != nil {
		t.Fatal(err)
	}
	w, err := safetensors.NewWriter(layout, []safetensors.Target{file})
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range tensors {
		if err := w.WriteAt(i, 0, x.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := staging.Commit(false, nil); err != nil {
		t.Fatal(err)
	}
	c, err := open.Checkpoint(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// random is a tensor of random bytes, which are finite numbers for scales.
func random(r *rand.Rand, name string, d format.DType, shape ...int64) stored {
	x := stored{Tensor: format.Tensor{Name: name, DType: d, Shape: shape}}
	x.data = make([]byte, x.Bytes())
	for i := range x.data {
		x.data[i] = byte(r.UintN(255)) // of scales that are powers of two, 255 is no number
	}
	if d == format.F32 || d == format.BF16 || d == format.F16 {
		values := make([]float32, x.Elements())
		for i := range values {
			values[i] = float32(r.Float64()) + 0.01
		}
		format.Encode(d, x.data, values)
	}
	return x
}

// numbers decodes a plain tensor.
func (x stored) numbers() []float32 {
	values := make([]float32, x.Elements())
	decodeScales(x.DType, values, x.data)
	return values
}

// Values are code × scale of the element's block, whatever the scales are of; any range of them is what it is in the whole.
func TestFloat8(t *testing.T) {
	for name, c := range map[string]struct {
		codes, scales []int64
		scale         string
		dtype         format.DType
		block         [3]int64 // slices, rows, columns
		config        string
	}{
		"tensor":           {[]int64{5, 700}, []int64{}, "_scale", format.F32, [3]int64{1, 5, 700}, ""},
		"tensor, one":      {[]int64{5, 700}, []int64{1}, "_scale", format.BF16, [3]int64{1, 5, 700}, ""},
		"rows":             {[]int64{300, 7}, []int64{300, 1}, "_scale", format.F32, [3]int64{1, 1, 7}, ""},
		"rows, flat":       {[]int64{300, 7}, []int64{300}, "_scale", format.BF16, [3]int64{1, 1, 7}, ""},
		"blocks":           {[]int64{300, 260}, []int64{3, 3}, "_scale_inv", format.F32, [3]int64{1, 128, 128}, `{"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}`},
		"long rows":        {[]int64{3, 70_000}, []int64{1, 547}, "_scale_inv", format.F32, [3]int64{1, 128, 128}, `{"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}`},
		"powers of two":    {[]int64{256, 384}, []int64{2, 3}, "_scale_inv", format.F8E8M0, [3]int64{1, 128, 128}, ""},
		"groups":           {[]int64{9, 64}, []int64{9, 2}, "_scale", format.F16, [3]int64{1, 1, 32}, ""},
		"experts":          {[]int64{3, 20, 30}, []int64{3, 2, 3}, "_scale_inv", format.F32, [3]int64{1, 10, 10}, ""},
		"experts, columns": {[]int64{3, 20, 30}, []int64{3, 1, 30}, "_scale", format.F32, [3]int64{1, 20, 1}, ""},
		"experts, one":     {[]int64{3, 20, 30}, []int64{3}, "_scale", format.F32, [3]int64{1, 20, 30}, ""},
		"kernels, one":     {[]int64{60, 4, 3, 3}, []int64{1}, "_scale", format.F32, [3]int64{240, 3, 3}, ""},
		"kernels":          {[]int64{60, 4, 3, 3}, []int64{60, 1, 1, 1}, "_scale", format.F32, [3]int64{4, 3, 3}, ""},
		"kernels, flat":    {[]int64{60, 4, 3, 3}, []int64{60}, "_scale", format.F32, [3]int64{4, 3, 3}, ""},
		"kernels, each":    {[]int64{60, 4, 3, 3}, []int64{60, 4, 1, 1}, "_scale", format.F32, [3]int64{1, 3, 3}, ""},
		"kernels, rows":    {[]int64{60, 4, 3, 3}, []int64{60, 4, 3, 1}, "_scale", format.F32, [3]int64{1, 1, 3}, ""},
		"narrow blocks":    {[]int64{300, 5}, []int64{3, 1}, "_scale_inv", format.F32, [3]int64{1, 128, 128}, `{"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}`},
		"many tiny groups": {[]int64{2, 140_000}, []int64{2, 140_000}, "_scale", format.F32, [3]int64{1, 1, 1}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			codes, scales := random(r, "layers.0.up.weight", format.F8E4M3, c.codes...), random(r, "layers.0.up.weight"+c.scale, c.dtype, c.scales...)
			v, err := Show(saved(t, codes, scales, random(r, "norm.weight", format.BF16, 9)), Declared{Config: []byte(c.config)})
			if err != nil {
				t.Fatal(err)
			}
			i, ok := v.Find("layers.0.up.weight")
			if x := v.Tensors(); !ok || len(x) != 2 || x[i].DType != format.F32 || x[i].StoredDType() != format.BF16 {
				t.Fatalf("%v", x)
			}
			values, factors := make([]float32, codes.Elements()), scales.numbers()
			vec.DecodeF8E4M3(values, codes.data)
			g := gridOf(c.codes)
			ceil := func(n, by int64) int64 { return (n + by - 1) / by }
			for at := range values {
				col, row, slice := int64(at)%g.cols, int64(at)/g.cols%g.rows, int64(at)/g.cols/g.rows
				block := (slice/c.block[0]*ceil(g.rows, c.block[1])+row/c.block[1])*ceil(g.cols, c.block[2]) + col/c.block[2]
				values[at] *= factors[block]
			}
			want := make([]byte, 4*len(values))
			format.Encode(format.F32, want, values)
			ranges := [][2]int64{{0, int64(len(want))}}
			for range 50 {
				off := r.Int64N(int64(len(want)))
				ranges = append(ranges, [2]int64{off, r.Int64N(int64(len(want))-off) + 1})
			}
			for _, x := range ranges {
				view, err := v.View(i, x[0], x[1])
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(view.Data, want[x[0]:x[0]+x[1]]) {
					t.Fatalf("bytes %v differ", x)
				}
				view.Release()
			}
			if _, err := v.View(i, 1, int64(len(want))); err == nil {
				t.Error("a view beyond the end")
			}
		})
	}
}

// Powers of two are exact, the smallest is a subnormal, and the last code is no number.
func TestPowerOfTwo(t *testing.T) {
	for code := range 255 {
		want := 1.0
		for range max(code, 127) - 127 {
			want *= 2
		}
		for range 127 - min(code, 127) {
			want /= 2
		}
		if got := powerOfTwo(byte(code)); float64(got) != want {
			t.Errorf("2^%d is %v", code-127, got)
		}
	}
	if x := powerOfTwo(255); x == x {
		t.Error("255 is a number")
	}
}

// Codes whose blocks nothing tells apart are refused, and so are those with too few or too many scales.
func TestFloat8Refused(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, shape := range [][]int64{{3, 3}, {2, 300}, {0, 3}, {300, 260, 1}, {301}, {3, 1}} {
		codes := random(r, "a.weight", format.F8E4M3, 300, 260)
		_, err := Show(saved(t, codes, random(r, "a.weight_scale", format.F32, shape...)), Declared{})
		if format.KindOf(err) != format.KindScheme {
			t.Errorf("scales of shape %v: %v", shape, err)
		}
	}
	// Scales that are in no order of the weight, or fewer than it has rows or matrices.
	for _, c := range []struct{ codes, scales []int64 }{
		{[]int64{6144, 3}, []int64{3}}, {[]int64{8, 4}, []int64{4}}, {[]int64{4, 8, 2}, []int64{2}}, {[]int64{6, 4, 3, 3}, []int64{4}}, {[]int64{6, 4, 3, 3}, []int64{12}},
		{[]int64{6, 4, 3, 3}, []int64{1, 4, 1, 1}}, {[]int64{6, 4, 3, 3}, []int64{4, 6, 1, 1}}, {[]int64{4, 8, 2}, []int64{2, 1, 1}},
	} {
		_, err := Show(saved(t, random(r, "a.weight", format.F8E4M3, c.codes...), random(r, "a.weight_scale", format.F32, c.scales...)), Declared{})
		if format.KindOf(err) != format.KindScheme || !strings.Contains(err.Error(), "which values") {
			t.Errorf("scales of shape %v for %v: %v", c.scales, c.codes, err)
		}
	}
	// What is declared and what there is contradict each other.
	codes := random(r, "a.weight", format.F8E4M3, 300, 260)
	_, err := Show(saved(t, codes, random(r, "a.weight_scale_inv", format.F32, 3, 3)), Declared{Config: []byte(`{"quantization_config": {"quant_method": "fp8", "weight_block_size": [64, 64]}}`)})
	if err == nil || !strings.Contains(err.Error(), "declared blocks of 64 by 64") {
		t.Errorf("%v", err)
	}
	for _, shape := range [][]int64{{1, 3}, {3, 1}} { // one row, or column, of the declared blocks, where there are three
		_, err := Show(saved(t, codes, random(r, "a.weight_scale_inv", format.F32, shape...)), Declared{Config: []byte(`{"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}`)})
		if err == nil || !strings.Contains(err.Error(), "declared blocks of 128 by 128") {
			t.Errorf("scales of shape %v: %v", shape, err)
		}
	}
	// Without scales they are values.
	c := saved(t, random(r, "a.weight", format.F8E4M3, 30, 26))
	if v, err := Show(c, Declared{}); err != nil || v != c {
		t.Errorf("a cast is shown as %v, %v", fmt.Sprint(v), err)
	}
}

// A weight beside a plain tensor of its name is not one of two that a caller may choose.
func TestNamesOnceDecodedAreUnique(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	blocks, scales := random(r, "e_blocks", format.U8, 2, 3, 4, 16), random(r, "e_scales", format.F8E8M0, 2, 3, 4)
	_, err := Show(saved(t, blocks, scales, random(r, "e", format.F32, 2)), Declared{})
	if format.KindOf(err) != format.KindScheme || !strings.Contains(err.Error(), `tensor "e": two tensors have one name`) {
		t.Errorf("%v", err)
	}
}
