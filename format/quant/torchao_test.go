package quant

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"weld/format"
)

func TestTorchAOGolden(t *testing.T) {
	var biases []string
	for k := range 4 {
		biases = append(biases, fmt.Sprintf("model.layers.%d.q_proj.bias", k))
	}
	holdGolden(t, "torchao", biases...)
}

// Narrow floats and integers of four bits; scales in the order of the weight, and swizzled.
func TestTorchAONarrowGolden(t *testing.T) { holdGolden(t, "torchao-narrow") }

// told is a checkpoint with metadata.
type told struct {
	format.Checkpoint
	metadata map[string]string
}

func (t told) Metadata() map[string]string { return t.metadata }

const int8Terms = `{"_type": "IntxUnpackedToInt8Tensor", "_data": {"block_size": [1, 32], "dtype": {"_type": "torch.dtype", "_data": "bfloat16"}}, "_tensor_data_names": ["qdata", "scale", "zero_point"]}`

// A weight larger than a piece, with zero points of groups.
func TestTorchAO(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	codes, scale, zero := random(r, "q._weight_qdata", format.I8, 300, 640), random(r, "q._weight_scale", format.F32, 300, 20), random(r, "q._weight_zero_point", format.I8, 300, 20)
	v, err := Show(told{saved(t, codes, scale, zero), map[string]string{"q.weight": int8Terms}}, Declared{})
	if err != nil {
		t.Fatal(err)
	}
	if x := v.Tensors(); len(x) != 1 || x[0].Name != "q.weight" || x[0].StoredDType() != format.BF16 {
		t.Fatalf("%v", x)
	}
	want, factors := make([]float32, len(codes.data)), scale.numbers()
	for at := range want {
		want[at] = (float32(int8(codes.data[at])) - float32(int8(zero.data[at/32]))) * factors[at/32]
	}
	holdRanges(t, v, 0, encoded(want))
}

func TestTorchAORefused(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	codes, scale, zero := random(r, "q._weight_qdata", format.I8, 8, 64), random(r, "q._weight_scale", format.F32, 8, 2), random(r, "q._weight_zero_point", format.I8, 8, 2)
	with := func(kind, block, names string) string {
		return fmt.Sprintf(`{"_type": %q, "_data": {"block_size": %s, "dtype": {"_data": "float32"}}, "_tensor_data_names": %s}`, kind, block, names)
	}
	for name, c := range map[string]struct {
		terms string
		list  []stored
	}{
		"no terms":              {"", []stored{codes, scale, zero}},
		"a class with a layout": {with("Int4TilePackedTo4dTensor", "[1, 32]", `["qdata", "scale"]`), []stored{codes, scale, zero}},
		"codes of floats":       {with("Float8Tensor", "[1, 32]", `["qdata", "scale"]`), []stored{codes, scale}},
		"blocks":                {with("Int8Tensor", "[1, 16]", `["qdata", "scale"]`), []stored{codes, scale}},
		"no scale":              {with("Int8Tensor", "[1, 32]", `["qdata", "scale"]`), []stored{codes}},
		"no scale named":        {with("Int8Tensor", "[1, 32]", `["qdata"]`), []stored{codes, scale}},
		"no zero points":        {int8Terms, []stored{codes, scale}},
		"zero points elsewhere": {int8Terms, []stored{codes, scale, random(r, "q._weight_zero_point", format.I8, 8, 4)}},
		"zero points of floats": {int8Terms, []stored{codes, scale, random(r, "q._weight_zero_point", format.F32, 8, 2)}},
		"activations scaled":    {with("Int8Tensor", "[1, 32]", `["qdata", "scale", "act_pre_scale"]`), []stored{codes, scale, random(r, "q._weight_act_pre_scale", format.F32, 1)}},
		"type":                  {`{"_type": "Int8Tensor", "_data": {"dtype": {"_data": "int8"}}, "_tensor_data_names": ["qdata", "scale"]}`, []stored{codes, scale}},
	} {
		metadata := map[string]string{"q.weight": c.terms}
		if c.terms == "" {
			metadata = nil
		}
		_, err := Show(told{saved(t, c.list...), metadata}, Declared{})
		if e, ok := err.(*format.Error); !ok || e.Kind != format.KindScheme || e.Tensor != codes.Name {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What torchao's files say of a weight beside its tensors is not written, so that its codes are not, either. The same is true of quanto.
func TestUnwrittenSchemes(t *testing.T) {
	for _, name := range []string{"torchao", "quanto"} {
		c, _ := golden(t, name)
		v := c.(*Decoded)
		for i, x := range v.Tensors() {
			if _, ok := v.Encoding(i); ok {
				t.Errorf("%s: %s is written", name, x.Name)
			}
		}
	}
}
