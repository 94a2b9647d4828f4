package vec

import "math"

// The codes of infinity and of the NaN that is written. E4M3 has no infinity.
const (
	infBF16, nanBF16 = 0x7f80, 0x7fc0
	infF16, nanF16   = 0x7c00, 0x7e00
	infE5M2, nanE5M2 = 0x7c, 0x7e
	nanE4M3          = 0x7f
)

// round32 rounds the magnitude whose float32 bits are abs to a format with the
// given mantissa bits and exponent bias, and returns its code. The magnitude
// must not overflow the format.
//
// In a sum with a power of two that is larger by the right factor, the last
// place has the weight of the format's last place, so the addition rounds.
// Below the smallest normal value that weight stays as it is there.
func round32(abs, mantissa, bias uint32) uint32 {
	least := 127 - bias + 1 // the format's smallest normal exponent, as float32 has it
	exponent := max(abs>>23, least)
	carrier := (exponent + 23 - mantissa) << 23
	sum := math.Float32bits(math.Float32frombits(abs) + math.Float32frombits(carrier))
	return sum - carrier + (exponent-least)<<mantissa
}

// round64 is round32 from float64 bits.
func round64(abs, mantissa, bias uint64) uint64 {
	least := 1023 - bias + 1
	exponent := max(abs>>52, least)
	carrier := (exponent + 52 - mantissa) << 52
	sum := math.Float64bits(math.Float64frombits(abs) + math.Float64frombits(carrier))
	return sum - carrier + (exponent-least)<<mantissa
}

// bf16From32 needs no test for overflow or denormals: the two formats have the
// same exponents, and a carry out of the mantissa is right everywhere.
func bf16From32(v float32) uint16 {
	b := math.Float32bits(v)
	if v != v {
		return nanBF16
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

func bf16From64(v float64) uint16 {
	b := math.Float64bits(v)
	sign, abs := uint16(b>>48&0x8000), b&^sign64
	switch {
	case v != v:
		return nanBF16
	case abs >= math.Float64bits(overflowBF16):
		return sign | infBF16
	}
	return sign | uint16(round64(abs, 7, 127))
}

func f16From32(v float32) uint16 {
	b := math.Float32bits(v)
	sign, abs := uint16(b>>16&0x8000), b&^sign32
	switch {
	case v != v:
		return nanF16
	case abs >= math.Float32bits(overflowF16):
		return sign | infF16
	}
	return sign | uint16(round32(abs, 10, 15))
}

func f16From64(v float64) uint16 {
	b := math.Float64bits(v)
	sign, abs := uint16(b>>48&0x8000), b&^sign64
	switch {
	case v != v:
		return nanF16
	case abs >= math.Float64bits(overflowF16):
		return sign | infF16
	}
	return sign | uint16(round64(abs, 10, 15))
}

func e5m2From32(v float32) uint8 {
	b := math.Float32bits(v)
	sign, abs := uint8(b>>24&0x80), b&^sign32
	switch {
	case v != v:
		return nanE5M2
	case abs >= math.Float32bits(overflowE5M2):
		return sign | infE5M2
	}
	return sign | uint8(round32(abs, 2, 15))
}

func e5m2From64(v float64) uint8 {
	b := math.Float64bits(v)
	sign, abs := uint8(b>>56&0x80), b&^sign64
	switch {
	case v != v:
		return nanE5M2
	case abs >= math.Float64bits(overflowE5M2):
		return sign | infE5M2
	}
	return sign | uint8(round64(abs, 2, 15))
}

func e4m3From32(v float32) uint8 {
	b := math.Float32bits(v)
	sign, abs := uint8(b>>24&0x80), b&^sign32
	if abs > math.Float32bits(lastE4M3) { // NaN too
		return nanE4M3
	}
	return sign | uint8(round32(abs, 3, 7))
}

func e4m3From64(v float64) uint8 {
	b := math.Float64bits(v)
	sign, abs := uint8(b>>56&0x80), b&^sign64
	if abs > math.Float64bits(lastE4M3) { // NaN too
		return nanE4M3
	}
	return sign | uint8(round64(abs, 3, 7))
}
