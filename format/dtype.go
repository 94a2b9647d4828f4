package format

// DType is the element type of a tensor. The set and the names are those of the
// safetensors format; other containers map theirs onto it.
type DType uint8

// The element types, in the order of increasing alignment that safetensors
// writers sort by.
const (
	Invalid DType = iota
	Bool
	F4     // OCP MX E2M1, two elements a byte
	F6E2M3 // OCP MX, four elements in three bytes
	F6E3M2 // OCP MX, four elements in three bytes
	U8
	I8
	F8E5M2     // arXiv 2209.05433: IEEE-like, has infinities
	F8E4M3     // arXiv 2209.05433: finite, one NaN per sign ("e4m3fn")
	F8E8M0     // OCP MX scale: a power of two
	F8E4M3FNUZ // arXiv 2206.02915
	F8E5M2FNUZ // arXiv 2206.02915
	I16
	U16
	F16
	BF16
	I32
	U32
	F32
	C64
	F64
	I64
	U64
	dtypeEnd
)

var dtypes = [dtypeEnd]struct {
	name  string
	torch string // as in config.json; empty where torch has no such dtype
	bits  int
}{
	Invalid:    {"invalid", "", 0},
	Bool:       {"BOOL", "bool", 8},
	F4:         {"F4", "float4_e2m1fn_x2", 4},
	F6E2M3:     {"F6_E2M3", "", 6},
	F6E3M2:     {"F6_E3M2", "", 6},
	U8:         {"U8", "uint8", 8},
	I8:         {"I8", "int8", 8},
	F8E5M2:     {"F8_E5M2", "float8_e5m2", 8},
	F8E4M3:     {"F8_E4M3", "float8_e4m3fn", 8},
	F8E8M0:     {"F8_E8M0", "float8_e8m0fnu", 8},
	F8E4M3FNUZ: {"F8_E4M3FNUZ", "float8_e4m3fnuz", 8},
	F8E5M2FNUZ: {"F8_E5M2FNUZ", "float8_e5m2fnuz", 8},
	I16:        {"I16", "int16", 16},
	U16:        {"U16", "uint16", 16},
	F16:        {"F16", "float16", 16},
	BF16:       {"BF16", "bfloat16", 16},
	I32:        {"I32", "int32", 32},
	U32:        {"U32", "uint32", 32},
	F32:        {"F32", "float32", 32},
	C64:        {"C64", "complex64", 64},
	F64:        {"F64", "float64", 64},
	I64:        {"I64", "int64", 64},
	U64:        {"U64", "uint64", 64},
}

// DTypes lists every element type, in order.
func DTypes() []DType {
	all := make([]DType, 0, dtypeEnd-1)
	for d := Invalid + 1; d < dtypeEnd; d++ {
		all = append(all, d)
	}
	return all
}

// ParseDType finds an element type by its exact safetensors name.
func ParseDType(name string) (DType, bool) {
	for d := Invalid + 1; d < dtypeEnd; d++ {
		if dtypes[d].name == name {
			return d, true
		}
	}
	return Invalid, false
}

// ParseTorchDType finds an element type by the name that torch, config.json and
// recipes give it, such as "bfloat16" or "torch.bfloat16".
func ParseTorchDType(name string) (DType, bool) {
	const prefix = "torch."
	if len(name) > len(prefix) && name[:len(prefix)] == prefix {
		name = name[len(prefix):]
	}
	for d := Invalid + 1; d < dtypeEnd; d++ {
		if dtypes[d].torch == name && name != "" {
			return d, true
		}
	}
	return Invalid, false
}

// String returns the safetensors name.
func (d DType) String() string {
	if d >= dtypeEnd {
		d = Invalid
	}
	return dtypes[d].name
}

// Torch returns the name that torch and config.json use, or "".
func (d DType) Torch() string {
	if d >= dtypeEnd {
		d = Invalid
	}
	return dtypes[d].torch
}

// Bits is the size of one element in bits.
func (d DType) Bits() int {
	if d >= dtypeEnd {
		return 0
	}
	return dtypes[d].bits
}

// Align is the alignment of one element in bytes, at least 1.
func (d DType) Align() int64 {
	return int64(max(1, d.Bits()/8))
}

// Computable reports whether weld does arithmetic on the type. Every other type
// is carried from input to output unchanged.
func (d DType) Computable() bool {
	switch d {
	case F64, F32, F16, BF16, F8E4M3, F8E5M2:
		return true
	}
	return false
}
