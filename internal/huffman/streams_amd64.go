//go:build !noasm

package huffman

import (
	"golang.org/x/sys/cpu"

	"weld/internal/vec"
)

// blockBytes is how many bytes are looked up at once.
const blockBytes = 64

// vectors says that the machine looks up bytes in registers. It is a variable for tests.
var vectors = vec.Level() >= vec.AVX512 && cpu.X86.HasAVX512VBMI && cpu.X86.HasBMI2

// blocks is how many of n bytes, from the first on, are written by writeBlocks.
func blocks(n int) int {
	if !vectors {
		return 0
	}
	return n / blockBytes * blockBytes
}

// writeBlocks appends the codes of n bytes, a positive multiple of blockBytes, to the stream: the last first.
//
//go:noescape
func writeBlocks(s *state, dst, src *byte, n int, t *tables)
