package fuse

import (
	"encoding/binary"
	"math"

	"weld/format"
)

// comparison is how elements of a type are compared.
type comparison uint8

const (
	asValues   comparison = iota // as the numbers that they stand for
	asIntegers                   // as whole numbers of 64 bits, which float64 does not hold
	asComplex                    // as pairs of float32
	asElements                   // equal or not
	asBytes                      // equal or not, byte by byte
)

// comparisonOf finds how a type is compared. How four elements of 6 bits lie in three bytes is not
// settled by safetensors 0.6, so that there is no telling which of them differ.
func comparisonOf(d format.DType) comparison {
	switch d {
	case format.Bool:
		return asElements
	case format.F6E2M3, format.F6E3M2:
		return asBytes
	case format.C64:
		return asComplex
	case format.I64, format.U64:
		return asIntegers
	}
	return asValues
}

// decodeAny fills dst with the numbers that elements of a type that is compared by values stand for: all
// of them exactly.
func decodeAny(d format.DType, dst []float64, src []byte) {
	le := binary.LittleEndian
	switch d {
	case format.I8:
		for i := range dst {
			dst[i] = float64(int8(src[i]))
		}
	case format.U8:
		for i := range dst {
			dst[i] = float64(src[i])
		}
	case format.I16:
		for i := range dst {
			dst[i] = float64(int16(le.Uint16(src[2*i:])))
		}
	case format.U16:
		for i := range dst {
			dst[i] = float64(le.Uint16(src[2*i:]))
		}
	case format.I32:
		for i := range dst {
			dst[i] = float64(int32(le.Uint32(src[4*i:])))
		}
	case format.U32:
		for i := range dst {
			dst[i] = float64(le.Uint32(src[4*i:]))
		}
	case format.F8E8M0, format.F8E4M3FNUZ, format.F8E5M2FNUZ:
		values := eightBits[d]
		for i := range dst {
			dst[i] = values[src[i]]
		}
	case format.F4:
		for i := range dst {
			dst[i] = fourBits[src[i/2]>>(4*(i%2))&15] // the lower half first
		}
	default:
		format.Decode(d, dst, src)
	}
}

// eightBits are the values of the types of 8 bits that weld does not compute with.
var eightBits = map[format.DType]*[256]float64{
	format.F8E8M0:     tabulate(func(code int) float64 { return powerOfTwo(code) }),
	format.F8E4M3FNUZ: tabulate(func(code int) float64 { return fnuz(code, 3, 8) }),
	format.F8E5M2FNUZ: tabulate(func(code int) float64 { return fnuz(code, 2, 16) }),
}

// fourBits are those of F4, E2M1 of OCP Microscaling Formats 1.0.
var fourBits = [16]float64{0, 0.5, 1, 1.5, 2, 3, 4, 6, math.Copysign(0, -1), -0.5, -1, -1.5, -2, -3, -4, -6}

func tabulate(value func(code int) float64) *[256]float64 {
	var table [256]float64
	for code := range table {
		table[code] = value(code)
	}
	return &table
}

// powerOfTwo is E8M0 of OCP Microscaling Formats 1.0, whose last code is NaN.
func powerOfTwo(code int) float64 {
	if code == 0xff {
		return math.NaN()
	}
	return math.Ldexp(1, code-127)
}

// fnuz is a float of 8 bits with so many of mantissa: no infinities, no negative zero, whose code is the only
// NaN (arXiv 2206.02915).
func fnuz(code, mantissa, bias int) float64 {
	if code == 0x80 {
		return math.NaN()
	}
	fraction := float64(code&(1<<mantissa-1)) / float64(int(1)<<mantissa)
	exponent := code & 0x7f >> mantissa
	value := math.Ldexp(1+fraction, exponent-bias)
	if exponent == 0 {
		value = math.Ldexp(fraction, 1-bias)
	}
	if code&0x80 != 0 {
		value = -value
	}
	return value
}
