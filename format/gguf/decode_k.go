package gguf

import "encoding/binary"

// Types of superblocks of 256 elements, whose scales are codes themselves, with a scale of scales.

// quarters are the codes of 32 bytes, two bits each: first the lowest of all bytes, then those above them.
func quarters(codes, src []byte) {
	for k := 0; k < 32; k += 8 {
		w := word(src[k:])
		for s := range 4 {
			putWord(codes[32*s+k:], w>>(2*s)&twoBits)
		}
	}
}

func decodeQ2_K(dst []float32, src []byte) {
	affine(dst, src, 256, 84, 16, func(block, codes []byte, scales, offsets []float32) {
		d, least := half(block[80:]), half(block[82:])
		for k, s := range block[:16] {
			scales[k], offsets[k] = d*float32(s&15), -(least * float32(s>>4))
		}
		quarters(codes, block[16:])
		quarters(codes[128:], block[48:])
	})
}

// decodeQ3_K has the highest bit of each code in the first 32 bytes: bit k is of the k-th 32 codes. Codes have 4 added, scales 32.
func decodeQ3_K(dst []float32, src []byte) {
	symmetric(dst, src, 256, 110, 16, func(block, codes []byte, scales, _ []float32) {
		d := half(block[108:])
		for k := range scales {
			lower := block[96+k%8] >> (k / 8 * 4) & 15
			upper := block[104+k%4] >> (k / 4 * 2) & 3
			scales[k] = d * float32(int(lower|upper<<4)-32)
		}
		quarters(codes, block[32:])
		quarters(codes[128:], block[64:])
		for k := 0; k < 32; k += 8 {
			highest := word(block[k:])
			for row := range 8 {
				at := 32*row + k
				putWord(codes[at:], less(word(codes[at:])|highest>>row&ones<<2, 4))
			}
		}
	})
}

// scalesAndOffsets are those of the eight groups of Q4_K and Q5_K. They have six bits each: of the first four the lower bits of eight bytes,
// of the others a half of a byte behind these, and above it the two bits that the first leave.
func scalesAndOffsets(block []byte, scales, offsets []float32) {
	d, least := half(block), half(block[2:])
	at := block[4:16]
	for k := range 4 {
		scales[k], offsets[k] = d*float32(at[k]&63), -(least * float32(at[4+k]&63))
		scales[4+k] = d * float32(at[8+k]&15|at[k]>>6<<4)
		offsets[4+k] = -(least * float32(at[8+k]>>4|at[4+k]>>6<<4))
	}
}

func decodeQ4_K(dst []float32, src []byte) {
	affine(dst, src, 256, 144, 32, func(block, codes []byte, scales, offsets []float32) {
		scalesAndOffsets(block, scales, offsets)
		nibblesOf(codes, block[16:])
	})
}

// nibblesOf are the codes of 128 bytes: of each 32 the lower halves, then the upper ones.
func nibblesOf(codes, src []byte) {
	for at := 0; at < 128; at += 32 {
		for k := 0; k < 32; k += 8 {
			w := word(src[at+k:])
			putWord(codes[2*at+k:], w&nibbles)
			putWord(codes[2*at+32+k:], w>>4&nibbles)
		}
	}
}

// decodeQ5_K has the highest bit of each code in 32 bytes: bit k is of the k-th 32 codes.
func decodeQ5_K(dst []float32, src []byte) {
	affine(dst, src, 256, 176, 32, func(block, codes []byte, scales, offsets []float32) {
		scalesAndOffsets(block, scales, offsets)
		nibblesOf(codes, block[48:])
		for k := 0; k < 32; k += 8 {
			highest := word(block[16+k:])
			for row := range 8 {
				at := 32*row + k
				putWord(codes[at:], word(codes[at:])|highest>>row&ones<<4)
			}
		}
	})
}

// decodeQ6_K has the lower four bits of 128 elements in 64 bytes, first their lower halves, and the upper two in 32 bytes as [quarters] has
// them. Codes have 32 added.
func decodeQ6_K(dst []float32, src []byte) {
	symmetric(dst, src, 256, 210, 16, func(block, codes []byte, scales, _ []float32) {
		d := half(block[208:])
		for k, s := range block[192:208] {
			scales[k] = d * float32(int8(s))
		}
		for side := range 2 {
			codes, lower, upper := codes[128*side:][:128], block[64*side:][:64], block[128+32*side:][:32]
			for k := 0; k < 32; k += 8 {
				a, b, two := word(lower[k:]), word(lower[32+k:]), word(upper[k:])
				putWord(codes[k:], less(a&nibbles|two&twoBits<<4, 32))
				putWord(codes[32+k:], less(b&nibbles|two>>2&twoBits<<4, 32))
				putWord(codes[64+k:], less(a>>4&nibbles|two>>4&twoBits<<4, 32))
				putWord(codes[96+k:], less(b>>4&nibbles|two>>6&twoBits<<4, 32))
			}
		}
	})
}

// decodeIQ4_XS has codes of IQ4_NL, and for each 32 a scale of six bits, with 32 added: the lower four in bytes, the upper two in a word.
func decodeIQ4_XS(dst []float32, src []byte) {
	symmetric(dst, src, 256, 136, 32, func(block, codes []byte, scales, _ []float32) {
		d, upper := half(block), int(binary.LittleEndian.Uint16(block[2:]))
		for k := range scales {
			lower := int(block[4+k/2] >> (k % 2 * 4) & 15)
			scales[k] = d * float32(lower+upper>>(2*k)&3<<4-32)
			lookUp(codes[32*k:], block[8+16*k:][:16], &levelsNL)
		}
	})
}

// decodeTQ1_0 has five digits of base three in a byte, as a fraction of 256: times a power of three, without what is above a byte, the digit
// is what a multiplication by three takes beyond the byte. 32 bytes have 160 elements, 16 have 80, and four have four each.
func decodeTQ1_0(dst []float32, src []byte) {
	symmetric(dst, src, 256, 54, 256, func(block, codes []byte, scales, _ []float32) {
		scales[0] = half(block[52:])
		for _, part := range []struct{ from, bytes, digits int }{{0, 32, 5}, {32, 16, 5}, {48, 4, 4}} {
			power := byte(1)
			for range part.digits {
				for k, fraction := range block[part.from:][:part.bytes] {
					codes[k] = byte(uint16(fraction*power)*3>>8) - 1
				}
				codes, power = codes[part.bytes:], power*3
			}
		}
	})
}

func decodeTQ2_0(dst []float32, src []byte) {
	symmetric(dst, src, 256, 66, 256, func(block, codes []byte, scales, _ []float32) {
		scales[0] = half(block[64:])
		quarters(codes, block)
		quarters(codes[128:], block[32:])
		for k := 0; k < 256; k += 8 {
			putWord(codes[k:], less(word(codes[k:]), 1))
		}
	})
}
