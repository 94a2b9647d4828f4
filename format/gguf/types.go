package gguf

import (
	"fmt"

	"weld/format"
)

// Type is how a tensor's elements are stored, by ggml's number.
type Type uint32

// storage is how a type stores elements.
type storage struct {
	format.Blocks
	plain format.DType // of elements that lie one by one as they are; else Invalid
}

// blocksOf describes a type of blocks.
func blocksOf(name string, elements, bytes int64, decode func(dst []float32, src []byte)) *storage {
	return &storage{Blocks: format.Blocks{Name: name, Elements: elements, Bytes: bytes, Decode: decode}}
}

// writable has a type written, too.
func (s *storage) writable(one func(block []byte, x []float32) bool) *storage {
	s.Encode = eachBlock(int(s.Elements), int(s.Bytes), one)
	return s
}

// writableAtOnce has a type written whose encoder takes any number of blocks.
func (s *storage) writableAtOnce(all func(dst []byte, src []float32) bool) *storage {
	s.Encode = all
	return s
}

// plainly describes a type whose elements are of a dtype.
func plainly(d format.DType) *storage {
	return &storage{format.Blocks{Name: d.String(), Elements: 1, Bytes: int64(d.Bits() / 8)}, d}
}

// storages are all types that files have (ggml.h, enum ggml_type), whether weld decodes them or not.
var storages = map[Type]*storage{
	0: plainly(format.F32), 1: plainly(format.F16), 30: plainly(format.BF16), 28: plainly(format.F64),
	24: plainly(format.I8), 25: plainly(format.I16), 26: plainly(format.I32), 27: plainly(format.I64),
	2:  blocksOf("Q4_0", 32, 18, decodeQ4_0).writable(encodeQ4_0),
	3:  blocksOf("Q4_1", 32, 20, decodeQ4_1).writable(encodeQ4_1),
	6:  blocksOf("Q5_0", 32, 22, decodeQ5_0).writable(encodeQ5_0),
	7:  blocksOf("Q5_1", 32, 24, decodeQ5_1).writable(encodeQ5_1),
	8:  blocksOf("Q8_0", 32, 34, decodeQ8_0).writableAtOnce(encodeQ8_0),
	10: blocksOf("Q2_K", 256, 84, decodeQ2_K),
	11: blocksOf("Q3_K", 256, 110, decodeQ3_K),
	12: blocksOf("Q4_K", 256, 144, decodeQ4_K).writable(encodeQ4_K),
	13: blocksOf("Q5_K", 256, 176, decodeQ5_K),
	14: blocksOf("Q6_K", 256, 210, decodeQ6_K).writable(encodeQ6_K),
	16: blocksOf("IQ2_XXS", 256, 66, nil),
	17: blocksOf("IQ2_XS", 256, 74, nil),
	18: blocksOf("IQ3_XXS", 256, 98, nil),
	19: blocksOf("IQ1_S", 256, 50, nil),
	20: blocksOf("IQ4_NL", 32, 18, decodeIQ4_NL),
	21: blocksOf("IQ3_S", 256, 110, nil),
	22: blocksOf("IQ2_S", 256, 82, nil),
	23: blocksOf("IQ4_XS", 256, 136, decodeIQ4_XS),
	29: blocksOf("IQ1_M", 256, 56, nil),
	34: blocksOf("TQ1_0", 256, 54, decodeTQ1_0),
	35: blocksOf("TQ2_0", 256, 66, decodeTQ2_0),
	39: blocksOf("MXFP4", 32, 17, decodeMXFP4).writable(encodeMXFP4),
	40: blocksOf("NVFP4", 64, 36, decodeNVFP4),
	41: blocksOf("Q1_0", 128, 18, nil),
}

// gone are types that no file has, or none any more.
var gone = map[Type]string{
	4: "Q4_2", 5: "Q4_3", 9: "Q8_1", 15: "Q8_K", 31: "Q4_0_4_4", 32: "Q4_0_4_8", 33: "Q4_0_8_8", 36: "IQ4_NL_4_4", 37: "IQ4_NL_4_8", 38: "IQ4_NL_8_8",
}

func (t Type) String() string {
	if s, ok := storages[t]; ok {
		return s.Name
	}
	if name, ok := gone[t]; ok {
		return name
	}
	return fmt.Sprintf("type %d", uint32(t))
}
