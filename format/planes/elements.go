package planes

import "weld/format"

// leastWords is how many bytes a block of words has at least that is looked at.
const leastWords = 4 << 10

// Figures of words that hold codes.
const (
	codesEntropy = 1.0 // bits that every byte of them tells at least
	codesSpread  = 0.5 // by which they differ at most
)

// Elements is the type by which a block is coded. Words of integers whose bytes are all alike, and tell something, hold codes of fewer bits
// (GPTQ, AWQ, compressed-tensors): a code that changes by one changes its byte by little, and its word by a lot. They are bytes. Of
// numbers, upper bytes are next to always the same.
func Elements(t format.DType, content []byte) format.DType {
	if t != format.I32 && t != format.U32 || len(content) < leastWords {
		return t
	}
	var counts [4]histogram
	n := len(content) / 4
	part := min(n, samplePart)
	for i := range sampleParts {
		at := (n - part) / (sampleParts - 1) * i * 4
		for k := range counts {
			for j := at + k; j < at+4*part; j += 4 {
				counts[k].counts[content[j]]++
			}
			counts[k].n += part
		}
	}
	least, most := 8.0, 0.0
	for k := range counts {
		bits := counts[k].entropy()
		least, most = min(least, bits), max(most, bits)
	}
	if least < codesEntropy || most-least > codesSpread {
		return t
	}
	return format.U8
}
