package quant

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"weld/format"
)

func TestBitsAndBytesGolden(t *testing.T) { holdGolden(t, "bitsandbytes") }

// state is a state of bitsandbytes.
func state(kind, text string) stored {
	return stored{format.Tensor{Name: "q.weight.quant_state.bitsandbytes__" + kind, DType: format.U8, Shape: []int64{int64(len(text))}}, []byte(text)}
}

// Weights larger than a piece, doubly quantised: by the definition.
func TestBitsAndBytes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, shape := range [][]int64{{600, 333}, {140_001}, {5, 9, 7}} {
		n, _ := format.Elements(shape)
		blocks := (n + 31) / 32
		codes, values := random(r, "q.weight", format.U8, (n+1)/2, 1), random(r, "q.weight.quant_map", format.F32, 16)
		absmax, nested := random(r, "q.weight.absmax", format.U8, blocks), random(r, "q.weight.nested_absmax", format.F32, (blocks+255)/256)
		nestedMap := random(r, "q.weight.nested_quant_map", format.F32, 256)
		text := fmt.Sprintf(`{"quant_type": "nf4", "blocksize": 32, "dtype": "bfloat16", "shape": %s, "nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": 0.04}`,
			strings.ReplaceAll(fmt.Sprint(shape), " ", ", "))
		v, err := Show(saved(t, codes, values, absmax, nested, nestedMap, state("nf4", text)), Declared{})
		if err != nil {
			t.Fatal(err)
		}
		want, table, twice, groups := make([]float32, n), values.numbers(), nestedMap.numbers(), nested.numbers()
		for at := range want {
			block := at / 32
			scale := float32(twice[absmax.data[block]]*groups[block/256]) + 0.04
			want[at] = table[codes.data[at/2]>>(4*(1-at%2))&15] * scale
		}
		if x := v.Tensors(); len(x) != 1 || x[0].StoredDType() != format.BF16 {
			t.Fatalf("%v", x)
		}
		holdRanges(t, v, 0, encoded(want))
	}
}

// LLM.int8 in rows longer than a piece, and in rows that are short.
func TestInt8(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, shape := range [][]int64{{3, 70_001}, {70_001, 3}} {
		codes, scales := random(r, "q.weight", format.I8, shape...), random(r, "q.SCB", format.F32, shape[0])
		v, err := Show(saved(t, codes, scales), Declared{})
		if err != nil {
			t.Fatal(err)
		}
		want, factors := make([]float32, len(codes.data)), scales.numbers()
		for at := range want {
			want[at] = float32(float32(int8(codes.data[at]))*factors[int64(at)/shape[1]]) * float32(0.007874015718698502)
		}
		holdRanges(t, v, 0, encoded(want))
	}
}

func TestBitsAndBytesRefused(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	codes, values, absmax := random(r, "q.weight", format.U8, 32, 1), random(r, "q.weight.quant_map", format.F32, 16), random(r, "q.weight.absmax", format.F32, 1)
	const right = `{"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": [8, 8]}`
	without := func(old, new string) stored { return state("nf4", strings.Replace(right, old, new, 1)) }
	for name, c := range map[string]struct {
		at   string
		list []stored
	}{
		"no codes":             {"q.weight.quant_state.bitsandbytes__nf4", []stored{state("nf4", right), values, absmax}},
		"no map":               {"q.weight", []stored{codes, state("nf4", right), absmax}},
		"no absmax":            {"q.weight", []stored{codes, state("nf4", right), values}},
		"two blocks":           {"q.weight", []stored{codes, without("64", "32"), values, absmax}},
		"nested without":       {"q.weight", []stored{codes, without("}", `, "nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": 0}`), values, absmax}},
		"another kind":         {"q.weight.quant_state.bitsandbytes__fp4", []stored{codes, state("fp4", right), values, absmax}},
		"not JSON":             {"q.weight.quant_state.bitsandbytes__nf4", []stored{codes, state("nf4", right[1:]), values, absmax}},
		"no shape":             {"q.weight", []stored{codes, without("[8, 8]", "null"), values, absmax}},
		"another shape":        {"q.weight", []stored{codes, without("[8, 8]", "[8, 9]"), values, absmax}},
		"a smaller shape":      {"q.weight", []stored{codes, without("[8, 8]", "[7, 8]"), values, absmax}},
		"a shape that is none": {"q.weight", []stored{codes, without("[8, 8]", "[-8, -8]"), values, absmax}},
		"no blocks":            {"q.weight.quant_state.bitsandbytes__nf4", []stored{codes, without("64", "0"), values, absmax}},
		"type":                 {"q.weight.quant_state.bitsandbytes__nf4", []stored{codes, without("bfloat16", "int8"), values, absmax}},
		"rows":                 {"r.weight", []stored{random(r, "r.weight", format.I8, 8, 8), random(r, "r.SCB", format.F32, 7)}},
		"order of a kernel": {"r.weight", []stored{random(r, "r.weight", format.I8, 8, 8), random(r, "r.SCB", format.F32, 8),
			{format.Tensor{Name: "r.weight_format", DType: format.U8, Shape: []int64{}}, []byte{2}}}},
	} {
		t.Run(name, func(t *testing.T) { refused(t, "", c.at, c.list...) })
	}
	// Layers that transformers turns before they are quantised.
	layer := random(r, "h.0.attn.c_proj.weight", format.I8, 8, 8)
	scales := random(r, "h.0.attn.c_proj.SCB", format.F32, 8)
	refused(t, `{"model_type": "gpt2"}`, layer.Name, layer, scales)
	if _, err := Show(saved(t, layer, scales), Declared{Config: []byte(`{"model_type": "llama"}`)}); err != nil {
		t.Error(err)
	}
}
