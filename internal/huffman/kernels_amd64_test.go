//go:build !noasm

package huffman

import "testing"

// kernels calls once for the reference and once for each kernel that the machine has.
func kernels(t testing.TB, call func(name string)) {
	had := vectors
	defer func() { vectors = had }()
	vectors = false
	call("portable")
	if had {
		vectors = true
		call("avx512")
	}
}

// readers does the same for what reads.
func readers(t testing.TB, call func(name string)) {
	had := interleaved
	defer func() { interleaved = had }()
	interleaved = false
	call("portable")
	if had {
		interleaved = true
		call("interleaved")
	}
}
