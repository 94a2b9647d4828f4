// Package gguf reads and writes GGUF files, the container of llama.cpp: metadata of typed keys and values, and tensors, of which most are
// stored in blocks of codes with their scales among them.
//
// Versions 2 and 3 are read, in one file or in splits, and version 3 is written, in one file. Facts of the container: docs/gguf.md of ggml; of the types: ggml-common.h
// and ggml-quants.c there, and gguf-py 0.19.0, whose dequantised values are this package's to the bit.
//
// A tensor in blocks is listed as the bytes that it is, a row with those of its blocks ([format.Blocked]); format/quant shows it as
// its values. Dimensions are in C order, as everywhere else: GGUF lists them the other way round.
//
// The package knows blocks, keys and shapes. It never knows what an architecture calls its tensors.
package gguf
