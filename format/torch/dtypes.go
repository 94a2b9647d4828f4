package torch

import (
	"weld/format"
	"weld/format/pickle"
)

// unknownTypes are the names of torch's element types (torch 2.15, c10/core/ScalarType.h) that format lacks, with the bytes of an element.
var unknownTypes = map[string]int64{
	"complex32": 4, "complex128": 16, "qint8": 1, "quint8": 1, "qint32": 4, "quint4x2": 1, "quint2x4": 1,
	"bits1x8": 1, "bits2x4": 1, "bits4x2": 1, "bits8": 1, "bits16": 2,
	"uint1": 1, "uint2": 1, "uint3": 1, "uint4": 1, "uint5": 1, "uint6": 1, "uint7": 1,
	"int1": 1, "int2": 1, "int3": 1, "int4": 1, "int5": 1, "int6": 1, "int7": 1,
}

// storageClasses are the names of torch's classes of storages, with their types' names.
var storageClasses = map[string]string{
	"FloatStorage": "float32", "DoubleStorage": "float64", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
	"LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8", "BoolStorage": "bool",
	"ComplexFloatStorage": "complex64", "ComplexDoubleStorage": "complex128",
	"QInt8Storage": "qint8", "QUInt8Storage": "quint8", "QInt32Storage": "qint32", "QUInt4x2Storage": "quint4x2", "QUInt2x4Storage": "quint2x4",
}

// untyped are the names of the class of storages without a type.
var untyped = []pickle.Global{{Module: "torch.storage", Name: "UntypedStorage"}, {Module: "torch.storage", Name: "_UntypedStorage"}, {Module: "torch", Name: "UntypedStorage"}}

// typeOf finds an element type by torch's name. One that format lacks is Invalid, and has a width.
func typeOf(name string) (d format.DType, width int64, ok bool) {
	if width, ok = unknownTypes[name]; ok {
		return format.Invalid, width, true
	}
	d, ok = format.ParseTorchDType(name)
	return d, d.Align(), ok
}

// DTypeOf finds the element type that a pickle means by a name, and the name. One that format lacks is Invalid.
func DTypeOf(v any) (d format.DType, name string, ok bool) {
	g, isName := v.(pickle.Global)
	if !isName || g.Module != "torch" {
		return format.Invalid, "", false
	}
	d, _, ok = typeOf(g.Name)
	return d, g.Name, ok
}
