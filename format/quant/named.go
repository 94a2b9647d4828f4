package quant

import (
	"cmp"
	"encoding/binary"
	"strings"

	"weld/format"
)

// Named is a scheme that an output can be stored in, however its inputs are stored.
type Named struct {
	Name   string
	Help   string // one line: what is stored
	Source string // whose layout that is, and by which name there
	Caveat string // what not all libraries do with it; "" for nothing

	block  [2]int64 // rows and columns that one scale is of; 0 for all
	scales scaleKind
	level  *scaleLevel // of scales that have a scale themselves; else nil
	codes  func(t format.Tensor) namedCodes
	config func(n *Named, plain []string) any // the quantization_config
	args   weightArgs                         // what it says of weights, for compressed-tensors
}

// The schemes that an output can be stored in. Who adds one adds a row, and with it help, documents and tests.
var namedSchemes = []Named{
	{
		Name: "fp8_block", Help: "FP8 (E4M3), a float32 scale for each block of 128 by 128", Source: "DeepSeek-V3, Qwen3-FP8; transformers 5.23, FineGrainedFP8Config",
		block: [2]int64{128, 128}, scales: scaleKind{"weight_scale_inv", format.F32, format.F32}, codes: float8Codes, config: fineGrained,
	},
	{
		Name: "fp8_channel", Help: "FP8 (E4M3), a scale for each row; activations are rounded when the model runs", Source: "compressed-tensors 0.20.1, FP8_DYNAMIC",
		block: [2]int64{1, 0}, scales: plainScales, codes: float8Codes, config: compressedNamed,
		args: weightArgs{Format: "float-quantized", Bits: 8, Type: "float", Strategy: "channel", Activations: true},
	},
	{
		Name: "fp8_tensor", Help: "FP8 (E4M3), one scale for each weight; activations are rounded when the model runs", Source: "compressed-tensors 0.20.1, float-quantized",
		scales: plainScales, codes: float8Codes, config: compressedNamed,
		args: weightArgs{Format: "float-quantized", Bits: 8, Type: "float", Strategy: "tensor", Activations: true},
	},
	{
		Name: "int8_channel", Help: "8-bit integers, a scale for each row; activations are rounded when the model runs", Source: "compressed-tensors 0.20.1, W8A8",
		block: [2]int64{1, 0}, scales: plainScales, codes: wholeIntegerCodes, config: compressedNamed,
		args: weightArgs{Format: "int-quantized", Bits: 8, Type: "int", Strategy: "channel", Activations: true},
	},
	{
		Name: "int8_group", Help: "8-bit integers, packed, a scale for each 128 columns of a row", Source: "compressed-tensors 0.20.1, W8A16",
		block: [2]int64{1, 128}, scales: plainScales, codes: packedCodes(8), config: compressedNamed,
		args: weightArgs{Format: "pack-quantized", Bits: 8, Type: "int", Strategy: "group", Group: 128},
	},
	{
		Name: "int4_group", Help: "4-bit integers, packed, a scale for each 128 columns of a row", Source: "compressed-tensors 0.20.1, W4A16",
		block: [2]int64{1, 128}, scales: plainScales, codes: packedCodes(4), config: compressedNamed,
		args: weightArgs{Format: "pack-quantized", Bits: 4, Type: "int", Strategy: "group", Group: 128},
	},
	{
		Name: "mxfp8", Help: "MXFP8 (E4M3), a power of two for each 32 columns of a row", Source: "compressed-tensors 0.20.1, MXFP8A16",
		block: [2]int64{1, 32}, scales: powerScales, codes: float8Codes, config: compressedNamed,
		args: weightArgs{Format: "mxfp8-quantized", Bits: 8, Type: "float", Strategy: "group", Group: 32, ScaleType: "torch.uint8"},
	},
	{
		Name: "mxfp6", Help: "MXFP6 (E2M3), a power of two for each 32 columns of a row", Source: "compressed-tensors 0.20.1, MXFP6A16",
		block: [2]int64{1, 32}, scales: powerScales, codes: narrowCodes(6, &tableE2M3), config: compressedNamed,
		args: weightArgs{Format: "mxfp6-pack-quantized", Bits: 6, Type: "float", Strategy: "group", Group: 32, ScaleType: "torch.uint8"},
	},
	{
		Name: "mxfp4", Help: "MXFP4 (E2M1), a power of two for each 32 columns of a row", Source: "compressed-tensors 0.20.1, MXFP4A16",
		block: [2]int64{1, 32}, scales: powerScales, codes: narrowCodes(4, &tableE2M1), config: compressedNamed,
		args: weightArgs{Format: "mxfp4-pack-quantized", Bits: 4, Type: "float", Strategy: "group", Group: 32, ScaleType: "torch.uint8"},
	},
	{
		Name: "nvfp4", Help: "NVFP4 (E2M1), a scale in E4M3 for each 16 columns of a row, and one for these", Source: "compressed-tensors 0.20.1, NVFP4A16",
		Caveat: "each weight has a scale of scales of its own: vLLM computes q_proj, k_proj and v_proj, or gate_proj and up_proj, together by the largest of theirs, warns of it, and has other values",
		block:  [2]int64{1, 16}, scales: scaleKind{"weight_scale", format.F8E4M3, format.F8E4M3}, level: &scaleLevel{divides: true}, codes: narrowCodes(4, &tableE2M1), config: compressedNamed,
		args: weightArgs{Format: "nvfp4-pack-quantized", Bits: 4, Type: "float", Strategy: "tensor_group", Group: 16, ScaleType: "torch.float8_e4m3fn"},
	},
}

// AllNamed are the schemes that an output can be stored in.
func AllNamed() []Named { return namedSchemes }

// FindNamed finds a scheme; nil if none has the name.
func FindNamed(name string) *Named {
	for i := range namedSchemes {
		if namedSchemes[i].Name == name {
			return &namedSchemes[i]
		}
	}
	return nil
}

// scaleKind is how scales are called and stored.
type scaleKind struct {
	name   string
	stored format.DType // Invalid for the type that a plain checkpoint has the weight in
	as     format.DType // what that is read as
}

var (
	plainScales = scaleKind{name: "weight_scale"}
	powerScales = scaleKind{"weight_scale", format.U8, format.F8E8M0}
)

// of are the types of scales of a weight.
func (k scaleKind) of(plain format.DType) (stored, as format.DType) {
	switch {
	case k.stored != format.Invalid:
		return k.stored, k.as
	case plain == format.BF16 || plain == format.F16:
		return plain, plain
	}
	return format.F32, format.F32
}

// namedCodes are how codes are called and stored, and what is stored beside them that is not made of values.
type namedCodes struct {
	name   string
	dtype  format.DType
	cols   int64 // of the tensor
	writer codeWriter
	shape  bool // weight_shape, the shape of the weight, is beside them
}

func float8Codes(t format.Tensor) namedCodes {
	return namedCodes{"weight", format.F8E4M3, t.Shape[1], floatWriter{format.F8E4M3, largestCode(format.F8E4M3)}, false}
}

func wholeIntegerCodes(t format.Tensor) namedCodes {
	return namedCodes{"weight", format.I8, t.Shape[1], wholeIntegers(t.Shape[1]), false}
}

// packedCodes are integers in words of 32 bits.
func packedCodes(bits int) func(t format.Tensor) namedCodes {
	return func(t format.Tensor) namedCodes {
		cols := t.Shape[1]
		p := bitPacking{bits: bits, values: offsetIntegers[bits]}
		return namedCodes{"weight_packed", format.I32, p.words(cols), &tableWriter{&offsetTables[bits], packedRows{p, cols, 4 * p.words(cols)}}, true}
	}
}

// narrowCodes are floats of a few bits in bytes.
func narrowCodes(bits int, table *codeTable) func(t format.Tensor) namedCodes {
	return func(t format.Tensor) namedCodes {
		cols := t.Shape[1]
		stride := cols * int64(bits) / 8
		return namedCodes{"weight_packed", format.U8, stride, &tableWriter{table, packedRows{bitPacking{bits: bits}, cols, stride}}, false}
	}
}

// Takes reports whether a weight of two dimensions can be stored in the scheme: its columns are cut into whole groups.
func (n *Named) Takes(shape []int64) bool {
	return len(shape) == 2 && shape[0] > 0 && shape[1] > 0 && (n.block[0] != 1 || n.block[1] == 0 || shape[1]%n.block[1] == 0)
}

// Group is how many columns have a scale together; 0 where any number will do.
func (n *Named) Group() int64 {
	if n.block[0] != 1 {
		return 0
	}
	return n.block[1]
}

// Encoding is how a weight is stored: M.weight of two dimensions, which a plain checkpoint would have by t's type. It is false where the shape
// is none for the scheme, or a stripe of it is too large.
func (n *Named) Encoding(t format.Tensor) (*Encoding, bool) {
	module, ok := strings.CutSuffix(t.Name, "weight")
	if !ok || !n.Takes(t.Shape) {
		return nil, false
	}
	of, codes := gridOf(t.Shape), n.codes(t)
	block := blockGrid{1, cmp.Or(n.block[0], of.rows), cmp.Or(n.block[1], of.cols)}
	stored, as := n.scales.of(t.DType)
	e := &Encoding{
		Codes:  format.Tensor{Name: module + codes.name, DType: codes.dtype, Shape: []int64{of.rows, codes.cols}},
		coding: coding{blockGrid: of, block: block, scaleType: as, codes: codes.writer, level: n.level},
	}
	scales := format.Tensor{Name: module + n.scales.name, DType: stored, Shape: []int64{1}}
	if g := e.scaleGrid(); n.block != [2]int64{} {
		scales.Shape = []int64{g.rows, g.cols}
	}
	e.Companions = []format.Tensor{scales}
	if n.level != nil {
		e.Companions = append(e.Companions, format.Tensor{Name: module + "weight_global_scale", DType: format.F32, Shape: []int64{1}})
	}
	if codes.shape {
		e.Companions = append(e.Companions, format.Tensor{Name: module + "weight_shape", DType: format.I64, Shape: []int64{2}})
		e.given = [][]byte{binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, uint64(of.rows)), uint64(of.cols))}
	}
	if n.level == nil && n.args.Format != "" {
		e.ofZeros = scaleOfZeros(as)
	}
	return e, e.encodable()
}

// scaleOfZeros is what compressed-tensors has for a block of nothing but zeros: the least power of two, or the difference between 1 and the next number
// (calculate_qparams).
func scaleOfZeros(d format.DType) []byte {
	least := float32(0x1p-23)
	switch d {
	case format.F8E8M0:
		return []byte{0}
	case format.BF16:
		least = 0x1p-7
	case format.F16:
		least = 0x1p-10
	}
	data := make([]byte, d.Bits()/8)
	format.Encode(d, data, []float32{least})
	return data
}
