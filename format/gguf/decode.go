package gguf

import (
	"encoding/binary"
	"math"

	"weld/internal/vec"
)

// Every decoder works through its blocks in batches: the codes of a batch become one byte each, in the order of the elements, and the
// scale of each group a float32. Kernels of internal/vec make values of them. All products and sums are rounded by themselves to
// float32, as gguf-py has it; negative offsets are added where it subtracts, which is the same.

// batchElements is how many elements are unpacked at a time.
const batchElements = 2048

// batch is what blocks are unpacked into.
type batch struct {
	codes   [batchElements]byte
	scales  [batchElements / 16]float32
	offsets [batchElements / 16]float32
}

// unpack fills in the codes, the scales and, where the type has them, the offsets of one block.
type unpack func(block, codes []byte, scales, offsets []float32)

// symmetric decodes blocks whose values are code × scale, with signed codes.
func symmetric(dst []float32, src []byte, elements, bytes, group int, one unpack) {
	var b batch
	b.each(dst, src, elements, bytes, group, one, func(dst []float32) { vec.DecodeI8Groups(dst, b.codes[:], 0, nil, b.scales[:], group) })
}

// affine decodes blocks whose values are code × scale + offset.
func affine(dst []float32, src []byte, elements, bytes, group int, one unpack) {
	var b batch
	b.each(dst, src, elements, bytes, group, one, func(dst []float32) { vec.DecodeU8Affine(dst, b.codes[:], b.scales[:], b.offsets[:], group) })
}

// each unpacks blocks, batch by batch, and has values made of them.
func (b *batch) each(dst []float32, src []byte, elements, bytes, group int, one unpack, values func(dst []float32)) {
	for len(dst) > 0 {
		n := min(len(dst), batchElements) / elements
		for k := range n {
			at := k * elements / group
			one(src[k*bytes:][:bytes], b.codes[k*elements:][:elements], b.scales[at:][:elements/group], b.offsets[at:][:elements/group])
		}
		values(dst[:n*elements])
		dst, src = dst[n*elements:], src[n*bytes:]
	}
}

// half reads a binary16.
func half(b []byte) float32 {
	code := uint32(binary.LittleEndian.Uint16(b))
	if code&0x7c00 == 0x7c00 { // infinite, or no number
		return math.Float32frombits(code&0x8000<<16 | 0x7f800000 | code&0x3ff<<13)
	}
	magnitude := math.Float32frombits(code&0x7fff<<13) * 0x1p112 // from bias 15 to 127, exact also where it is denormal
	return math.Float32frombits(code&0x8000<<16 | math.Float32bits(magnitude))
}

// Eight codes are unpacked at a time, each in a byte of a word.
const (
	ones    = 0x0101010101010101
	twoBits = 3 * ones
	nibbles = 15 * ones
)

func word(b []byte) uint64       { return binary.LittleEndian.Uint64(b) }
func putWord(b []byte, x uint64) { binary.LittleEndian.PutUint64(b, x) }

// less subtracts a number up to 128 from the byte of each code, where codes are less than 128 and the differences are signed bytes.
func less(codes, n uint64) uint64 {
	const tops = 0x80 * ones
	return ((codes | tops) - n*ones) ^ tops
}

// spread has bit k of eight in the lowest bit of byte k.
func spread(eight byte) uint64 {
	x := uint64(eight)*ones&0x8040201008040201 + 0x7f*ones // a bit that is set carries into the highest of its byte
	return x >> 7 & ones
}

// ue4m3 are the values of unsigned E4M3 by their codes, halved, as NVFP4 takes them with codes that are doubled: 0x7f is 0, and the
// highest bit does not count but there (gguf-py, NVFP4).
var ue4m3 = func() (values [256]float32) {
	for code := range values {
		exponent, mantissa := code>>3&15, float32(code&7)
		switch {
		case code == 0x7f:
		case exponent == 0:
			values[code] = mantissa * 0x1p-10
		default:
			values[code] = (1 + mantissa/8) * powerOfTwo(exponent-8)
		}
	}
	return values
}()

func powerOfTwo(n int) float32 {
	if n < 0 {
		return 1 / float32(uint64(1)<<-n)
	}
	return float32(uint64(1) << n)
}

// halfPower is 2^(code − 128), the half of a value of E8M0.
func halfPower(code byte) float32 {
	if code < 2 { // denormal
		return math.Float32frombits(0x00200000 << code)
	}
	return math.Float32frombits((uint32(code) - 1) << 23)
}
