package quant

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"weld/format"
)

func TestGPTQGolden(t *testing.T) {
	for _, layout := range []string{"gptq", "gptq_v2"} {
		t.Run(layout, func(t *testing.T) {
			var biases []string
			for _, bits := range []int{2, 3, 4, 8} {
				biases = append(biases, fmt.Sprintf("model.layers.%d.q_proj.bias", bits))
			}
			holdGolden(t, layout, biases...)
		})
	}
}

func TestAWQGolden(t *testing.T) { holdGolden(t, "awq", "model.layers.0.q_proj.bias") }

// words is a tensor of random words, none of whose bytes is 255.
func words(r *rand.Rand, name string, shape ...int64) stored {
	return random(r, name, format.I32, shape...)
}

// indexes is a tensor of numbers.
func indexes(name string, values []int64) stored {
	x := stored{Tensor: format.Tensor{Name: name, DType: format.I32, Shape: []int64{int64(len(values))}}}
	for _, v := range values {
		x.data = binary.LittleEndian.AppendUint32(x.data, uint32(v))
	}
	return x
}

// bit is one of a word in a matrix of words.
func (x stored) bit(row, column, i int64) int64 {
	word := binary.LittleEndian.Uint32(x.data[(row*x.Shape[1]+column)*4:])
	return int64(word >> i & 1)
}

// Weights larger than a piece, whose inputs are in any order of groups: bit by bit by the definition.
func TestGPTQ(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct{ bits, in, out, groups int64 }{
		{4, 544, 320, 17}, {4, 96, 4096, 1}, {3, 256, 640, 8}, {2, 2048, 64, 2048}, {8, 70_400, 4, 5}, {3, 32, 2720, 32},
	} {
		order := make([]int64, c.in)
		for i := range order {
			order[i] = r.Int64N(c.groups)
		}
		codes, zeros := words(r, "q.qweight", c.in*c.bits/32, c.out), words(r, "q.qzeros", c.groups, c.out*c.bits/32)
		scales := random(r, "q.scales", format.F16, c.groups, c.out)
		v, err := Show(saved(t, codes, zeros, scales, indexes("q.g_idx", order)), Declared{Config: []byte(`{"quantization_config": {"quant_method": "gptq", "format": "gptq_v2"}}`)})
		if err != nil {
			t.Fatal(err)
		}
		factors, want := scales.numbers(), make([]float32, c.in*c.out)
		for at := range want {
			o, i := int64(at)/c.in, int64(at)%c.in
			g := order[i]
			var code, zero int64
			for b := range c.bits {
				k, z := i*c.bits+b, o*c.bits+b
				code |= codes.bit(k/32, o, k%32) << b
				zero |= zeros.bit(g, z/32, z%32) << b
			}
			want[at] = float32(code-zero) * factors[g*c.out+o]
		}
		holdRanges(t, v, 0, encoded(want))
	}
}

// AWQ larger than a piece, with a last group that is cut.
func TestAWQ(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct{ in, out, group int64 }{{500, 328, 128}, {70_001, 8, 70_001}, {9, 9000, 2}} {
		groups := (c.in + c.group - 1) / c.group
		codes, zeros, scales := words(r, "q.qweight", c.in, c.out/8), words(r, "q.qzeros", groups, c.out/8), random(r, "q.scales", format.BF16, groups, c.out)
		config := fmt.Sprintf(`{"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": %d, "version": "GEMM"}}`, c.group)
		v, err := Show(saved(t, codes, zeros, scales), Declared{Config: []byte(config)})
		if err != nil {
			t.Fatal(err)
		}
		factors, want := scales.numbers(), make([]float32, c.in*c.out)
		for at := range want {
			o, i := int64(at)/c.in, int64(at)%c.in
			place := int64(strings.IndexByte("02461357", byte('0'+o%8)))
			var code, zero int64
			for b := range int64(4) {
				code |= codes.bit(i, o/8, 4*place+b) << b
				zero |= zeros.bit(i/c.group, o/8, 4*place+b) << b
			}
			want[at] = float32(code-zero) * factors[i/c.group*c.out+o]
		}
		holdRanges(t, v, 0, encoded(want))
	}
}

const (
	gptqConfig = `{"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 32}}`
	awqConfig  = `{"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 32}}`
)

// Shapes and terms that contradict each other.
func TestGroupedRefused(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	scales := func(shape ...int64) stored { return random(r, "q.scales", format.F16, shape...) }
	for name, c := range map[string]struct {
		config string
		list   []stored
	}{
		"no zero points":   {gptqConfig, []stored{words(r, "q.qweight", 8, 16), scales(2, 16)}},
		"no scales":        {gptqConfig, []stored{words(r, "q.qweight", 8, 16), words(r, "q.qzeros", 2, 2)}},
		"outputs":          {gptqConfig, []stored{words(r, "q.qweight", 8, 24), words(r, "q.qzeros", 2, 2), scales(2, 16)}},
		"groups":           {gptqConfig, []stored{words(r, "q.qweight", 8, 16), words(r, "q.qzeros", 3, 2), scales(3, 16)}},
		"groups differ":    {gptqConfig, []stored{words(r, "q.qweight", 8, 16), words(r, "q.qzeros", 2, 2), scales(3, 16)}},
		"bits":             {gptqConfig, []stored{words(r, "q.qweight", 8, 16), words(r, "q.qzeros", 2, 4), scales(2, 16)}},
		"no such bits":     {strings.Replace(gptqConfig, `"bits": 4, `, "", 1), []stored{words(r, "q.qweight", 10, 32), words(r, "q.qzeros", 2, 5), scales(2, 32)}},
		"empty":            {gptqConfig, []stored{words(r, "q.qweight", 8, 0), words(r, "q.qzeros", 2, 0), scales(2, 0)}},
		"too few inputs":   {gptqConfig, []stored{words(r, "q.qweight", 8, 16), words(r, "q.qzeros", 2, 2), scales(2, 16), indexes("q.g_idx", make([]int64, 60))}},
		"order":            {strings.Replace(gptqConfig, `"bits"`, `"desc_act": true, "bits"`, 1), []stored{words(r, "q.qweight", 8, 16), words(r, "q.qzeros", 2, 2), scales(2, 16)}},
		"format":           {strings.Replace(gptqConfig, `"bits"`, `"checkpoint_format": "marlin", "bits"`, 1), []stored{words(r, "q.qweight", 8, 16), words(r, "q.qzeros", 2, 2), scales(2, 16)}},
		"other packing":    {awqConfig, []stored{words(r, "q.qweight", 8, 16), words(r, "q.qzeros", 2, 2), scales(2, 16)}},
		"gemv":             {strings.Replace(awqConfig, `"bits"`, `"version": "gemv", "bits"`, 1), []stored{words(r, "q.qweight", 64, 2), words(r, "q.qzeros", 2, 2), scales(2, 16)}},
		"AWQ groups":       {awqConfig, []stored{words(r, "q.qweight", 64, 2), words(r, "q.qzeros", 3, 2), scales(3, 16)}},
		"AWQ without size": {strings.Replace(awqConfig, `, "group_size": 32`, "", 1), []stored{words(r, "q.qweight", 64, 2), words(r, "q.qzeros", 2, 2), scales(2, 16)}},
	} {
		t.Run(name, func(t *testing.T) { refused(t, c.config, "q.qweight", c.list...) })
	}
	// Without a declaration nothing says how zero points are stored.
	list := saved(t, words(r, "q.qweight", 8, 16), words(r, "q.qzeros", 2, 2), scales(2, 16))
	if v, err := Show(list, Declared{}); err != nil || v != list {
		t.Errorf("%v, %v", v, err)
	}
}

// What only the values tell is refused when they are read.
func TestGroupedDamage(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	zeros := words(r, "q.qzeros", 2, 2)
	for i := range zeros.data {
		zeros.data[i] = 0x77
	}
	wraps := stored{zeros.Tensor, append([]byte{0xf7}, zeros.data[1:]...)}
	order := make([]int64, 64)
	order[40] = 2
	negative := make([]int64, 64)
	negative[63] = -1
	for name, c := range map[string]struct {
		zeros stored
		order []int64
		at    string
	}{
		"a group beyond the last": {zeros, order, "q.g_idx"}, "a group below the first": {zeros, negative, "q.g_idx"},
		"a zero point that wraps": {wraps, make([]int64, 64), "q.qzeros"}, "nothing": {zeros, make([]int64, 64), ""},
	} {
		v, err := Show(saved(t, words(r, "q.qweight", 8, 16), c.zeros, random(r, "q.scales", format.F16, 2, 16), indexes("q.g_idx", c.order)), Declared{Config: []byte(gptqConfig)})
		if err != nil {
			t.Fatal(err)
		}
		view, err := v.View(0, 0, v.Tensors()[0].Bytes())
		if c.at == "" && err == nil {
			view.Release()
			continue
		}
		if format.KindOf(err) != format.KindScheme || !strings.Contains(err.Error(), c.at) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A matrix of GPTQ in spans as workers ask for them.
func BenchmarkGPTQ(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	inSpans(b, `{"quantization_config": {"quant_method": "gptq", "group_size": 128, "format": "gptq_v2"}}`,
		words(r, "q.qweight", 512, 4096), words(r, "q.qzeros", 32, 512), random(r, "q.scales", format.F16, 32, 4096))
}

// An expert of gpt-oss in such spans.
func BenchmarkMXFP4(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	inSpans(b, "", random(r, "e_blocks", format.U8, 1, 4096, 128, 16), random(r, "e_scales", format.U8, 1, 4096, 128))
}

// inSpans reads the first tensor of a checkpoint in spans of several sizes.
func inSpans(b *testing.B, config string, tensors ...stored) {
	v, err := Show(saved(b, tensors...), Declared{Config: []byte(config)})
	if err != nil {
		b.Fatal(err)
	}
	size := v.Tensors()[0].Bytes()
	for _, span := range []int64{32 << 10, 1 << 20, 4 << 20} {
		b.Run(fmt.Sprint(span>>10, " KiB"), func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				for off := int64(0); off < size; off += span {
					view, err := v.View(0, off, min(span, size-off))
					if err != nil {
						b.Fatal(err)
					}
					view.Release()
				}
			}
		})
	}
}

// What a view is said to cost has the lines that are looked at at a time.
func TestViewCostOfLines(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	config := Declared{Config: []byte(`{"quantization_config": {"quant_method": "gptq", "format": "gptq_v2"}}`)}
	cost := func(bits, in, out int64) int64 {
		v, err := Show(saved(t, words(r, "q.qweight", in*bits/32, out), words(r, "q.qzeros", 1, out*bits/32), random(r, "q.scales", format.F16, 1, out)), config)
		if err != nil {
			t.Fatal(err)
		}
		return format.ViewCost(v, 4)
	}
	if narrow, wide := cost(4, 32, 64), cost(3, 32, 64<<10); narrow < tileBytes || wide < 2*(64<<10)*4 || wide <= narrow {
		t.Errorf("%d and %d bytes", narrow, wide)
	}
}

// Read one range after the other, all codes are asked for once and dropped once: not before the last range that needs them.
func TestVisited(t *testing.T) {
	for name, d := range map[string]struct {
		revisiting
		elements, bytes int64
	}{
		"turned":    {&turned{blockGrid: blockGrid{3, 40, 24}, step: 8, stride: 160}, 3 * 40 * 24, 3 * 3 * 160},
		"stretches": {&stretchDecoder{size: 1, bits: 4, stretch: 500}, 1000, 500},
		"words":     {&stretchDecoder{size: 4, bits: 3, stretch: 100}, 1000, 400},
	} {
		for _, done := range []bool{false, true} {
			for _, span := range []int64{1, 7, 480, 960, 5000} {
				var next int64
				for lo := int64(0); lo < d.elements; lo += span {
					hi := min(lo+span, d.elements)
					off, n := d.visited(done, lo, hi)
					if n > 0 && off != next {
						t.Fatalf("%s, done %t, span %d: [%d, +%d) behind %d", name, done, span, off, n, next)
					}
					next += n
					if _, isTurned := d.revisiting.(*turned); isTurned && done && next > hi/960*480 || isTurned && !done && next < (hi+959)/960*480 {
						t.Fatalf("%s, done %t: %d bytes by element %d", name, done, next, hi)
					}
				}
				if next != d.bytes {
					t.Fatalf("%s, done %t, span %d: %d bytes of %d", name, done, span, next, d.bytes)
				}
			}
		}
	}
}
