package gguf

// Types of blocks of 32 elements, of which the first sixteen are the lower halves of the bytes, and the others the upper ones.

// halves are the codes of sixteen bytes, less what is added to them.
func halves(codes, src []byte, added uint64) {
	for k := 0; k < 16; k += 8 {
		w := word(src[k:])
		putWord(codes[k:], less(w&nibbles, added))
		putWord(codes[16+k:], less(w>>4&nibbles, added))
	}
}

func decodeQ4_0(dst []float32, src []byte) {
	symmetric(dst, src, 32, 18, 32, func(block, codes []byte, scales, _ []float32) {
		scales[0] = half(block)
		halves(codes, block[2:], 8)
	})
}

func decodeQ4_1(dst []float32, src []byte) {
	affine(dst, src, 32, 20, 32, func(block, codes []byte, scales, offsets []float32) {
		scales[0], offsets[0] = half(block), half(block[2:])
		halves(codes, block[4:], 0)
	})
}

// fifthBits puts the highest bits of 32 codes of five bits above the others, and takes off what is added to the codes.
func fifthBits(codes, highest []byte, added uint64) {
	for k, eight := range highest[:4] {
		putWord(codes[8*k:], less(word(codes[8*k:])|spread(eight)<<4, added))
	}
}

func decodeQ5_0(dst []float32, src []byte) {
	symmetric(dst, src, 32, 22, 32, func(block, codes []byte, scales, _ []float32) {
		scales[0] = half(block)
		halves(codes, block[6:], 0)
		fifthBits(codes, block[2:], 16)
	})
}

func decodeQ5_1(dst []float32, src []byte) {
	affine(dst, src, 32, 24, 32, func(block, codes []byte, scales, offsets []float32) {
		scales[0], offsets[0] = half(block), half(block[2:])
		halves(codes, block[8:], 0)
		fifthBits(codes, block[4:], 0)
	})
}

func decodeQ8_0(dst []float32, src []byte) {
	symmetric(dst, src, 32, 34, 32, func(block, codes []byte, scales, _ []float32) {
		scales[0] = half(block)
		copy(codes, block[2:])
	})
}

// levelsNL are the values of the codes of IQ4_NL and IQ4_XS (ggml-common.h, kvalues_iq4nl).
var levelsNL = signed(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)

// levelsE2M1 are those of E2M1, doubled. A zero has no sign (gguf-py, MXFP4).
var levelsE2M1 = signed(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)

func signed(levels ...int8) (bytes [16]byte) {
	for code, level := range levels {
		bytes[code] = byte(level)
	}
	return bytes
}

// lookUp are the levels of the codes in some bytes: first of the lower halves, then of the upper ones.
func lookUp(codes, src []byte, levels *[16]byte) {
	lower, upper := codes[:len(src)], codes[len(src):2*len(src)]
	for k, pair := range src {
		lower[k], upper[k] = levels[pair&15], levels[pair>>4]
	}
}

func decodeIQ4_NL(dst []float32, src []byte) {
	symmetric(dst, src, 32, 18, 32, func(block, codes []byte, scales, _ []float32) {
		scales[0] = half(block)
		lookUp(codes, block[2:18], &levelsNL)
	})
}

// decodeMXFP4 halves the power of two of the OCP's E8M0, since levels are doubled. 0xff is 2^128 and no NaN.
func decodeMXFP4(dst []float32, src []byte) {
	symmetric(dst, src, 32, 17, 32, func(block, codes []byte, scales, _ []float32) {
		scales[0] = halfPower(block[0])
		lookUp(codes, block[1:17], &levelsE2M1)
	})
}

// decodeNVFP4 has a scale for each sixteen elements.
func decodeNVFP4(dst []float32, src []byte) {
	symmetric(dst, src, 64, 36, 16, func(block, codes []byte, scales, _ []float32) {
		for k, code := range block[:4] {
			scales[k] = ue4m3[code]
			lookUp(codes[16*k:], block[4+8*k:][:8], &levelsE2M1)
		}
	})
}
