package gguf

import (
	"maps"
	"slices"
	"strings"

	"weld/format"
)

// Written are the types of blocks that values can be stored in, by their names in lower case, as recipes have them.
func Written() (names []string) {
	for _, number := range slices.Sorted(maps.Keys(storages)) {
		if s := storages[number]; s.Encode != nil {
			names = append(names, strings.ToLower(s.Name))
		}
	}
	return names
}

// FindWritten finds a type of blocks that values can be stored in by its name in lower case; nil if none has it.
func FindWritten(name string) *format.Blocks {
	for _, s := range storages {
		if s.Encode != nil && strings.ToLower(s.Name) == name {
			return &s.Blocks
		}
	}
	return nil
}

// HasType reports whether tensors can have elements of a dtype, one by one.
func HasType(d format.DType) bool {
	for _, s := range storages {
		if s.plain == d && d != format.Invalid {
			return true
		}
	}
	return false
}

// narrower are the types that take the place of others for rows which are no whole blocks of these, as llama.cpp has it
// (llama-quant.cpp, tensor_type_fallback).
var narrower = map[string]string{"Q4_K": "q5_0", "Q6_K": "q8_0"}

// Fitting is a type of blocks, or the one that takes its place, for rows of so many values; nil where neither has whole blocks.
func Fitting(b *format.Blocks, row int64) *format.Blocks {
	for b != nil && row%b.Elements != 0 {
		b = FindWritten(narrower[b.Name])
	}
	return b
}

// fileTypes are the numbers of models that have most tensors in a type of blocks, by llama.cpp's enum llama_ftype: of a K-quant that comes in
// mixtures, the smallest.
var fileTypes = map[string]uint32{"Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q4_K": 14, "Q6_K": 18, "MXFP4": 38}

// FileTypeOf is the number of a model that has most tensors in a type of blocks.
func FileTypeOf(b *format.Blocks) uint32 {
	if n, ok := fileTypes[b.Name]; ok {
		return n
	}
	return FileType(format.Invalid)
}
