package vec

import (
	"encoding/binary"
	"math"
)

// Blocks of 32 values of one byte each, behind their scale in binary16: what GGUF calls Q8_0.
const (
	halfScaledElements = 32
	halfScaledBytes    = 2 + halfScaledElements
)

// EncodeHalfScaledI8 stores values, which are finite, in whole blocks: by the largest magnitude of a block divided by 127, rounded to the nearest code with ties away from zero. It
// returns how many blocks it stored: fewer than all where the scale of the next is too large for binary16.
func EncodeHalfScaledI8(dst []byte, src []float32) (blocks int) {
	n := len(src) / halfScaledElements
	for blocks = encodeHalfScaledI8SIMD(dst, src[:n*halfScaledElements]); blocks < n; blocks++ {
		if !encodeHalfScaledI8(dst[blocks*halfScaledBytes:][:halfScaledBytes], src[blocks*halfScaledElements:][:halfScaledElements]) {
			return blocks
		}
	}
	return n
}

func encodeHalfScaledI8(block []byte, x []float32) bool {
	largest := uint32(0)
	for _, v := range x {
		largest = max(largest, math.Float32bits(v)&^(1<<31))
	}
	scale := math.Float32frombits(largest) / 127
	EncodeF16(block[:2], []float32{scale})
	if binary.LittleEndian.Uint16(block)&0x7c00 == 0x7c00 {
		return false
	}
	inverse := 1 / scale
	if inverse-inverse != 0 { // of a scale of 0, or next to it
		inverse = 0
	}
	for i, v := range x {
		code := float64(v * inverse)
		block[2+i] = byte(int8(int32(code + math.Copysign(0.5, code)))) // float64 has the sum exactly
	}
	return true
}
