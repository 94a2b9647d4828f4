package vec

import (
	"math"
	"slices"
)

// format defines a narrow dtype by its layout, without looking at the kernels.
type format struct {
	name               string
	exponent, mantissa int    // bits
	infinite           bool   // all exponent bits set is infinity or NaN
	nan                uint32 // the code written for a NaN

	decode    func([]float32, []byte)
	encode32  func([]byte, []float32)
	encode64  func([]byte, []float64)
	limit32   float32
	limit64   float64
	decodeNaN func(code uint32) (bits uint32)
}

func quiet(sign bool, payload uint32) uint32 {
	if sign {
		return 0xffc00000 | payload
	}
	return 0x7fc00000 | payload
}

var formats = []format{
	{"BF16", 8, 7, true, 0x7fc0,
		DecodeBF16, EncodeBF16[float32], EncodeBF16[float64], OverflowBF16[float32](), OverflowBF16[float64](),
		func(c uint32) uint32 { return c << 16 }},
	{"F16", 5, 10, true, 0x7e00,
		DecodeF16, EncodeF16[float32], EncodeF16[float64], OverflowF16[float32](), OverflowF16[float64](),
		func(c uint32) uint32 { return quiet(c>>15 == 1, c&0x3ff<<13) }},
	{"F8E4M3", 4, 3, false, 0x7f,
		DecodeF8E4M3, EncodeF8E4M3[float32], EncodeF8E4M3[float64], OverflowF8E4M3[float32](), OverflowF8E4M3[float64](),
		func(c uint32) uint32 { return quiet(c>>7 == 1, 0) }},
	{"F8E5M2", 5, 2, true, 0x7e,
		DecodeF8E5M2, EncodeF8E5M2[float32], EncodeF8E5M2[float64], OverflowF8E5M2[float32](), OverflowF8E5M2[float64](),
		func(c uint32) uint32 { return quiet(c>>7 == 1, c&3<<21) }},
}

func (f format) width() int   { return (1 + f.exponent + f.mantissa) / 8 }
func (f format) codes() int   { return 1 << (1 + f.exponent + f.mantissa) }
func (f format) sign() uint32 { return 1 << (f.exponent + f.mantissa) }

// largest is the code of the largest finite value.
func (f format) largest() uint32 {
	if f.infinite {
		return (1<<f.exponent-1)<<f.mantissa - 1
	}
	return f.sign() - 2
}

// magnitude is what a code without sign would mean if the format had no end.
func (f format) magnitude(code uint32) float64 {
	bias := 1<<(f.exponent-1) - 1
	e, m := int(code>>f.mantissa), int(code)&(1<<f.mantissa-1)
	if e == 0 {
		return math.Ldexp(float64(m), 1-bias-f.mantissa)
	}
	return math.Ldexp(float64(m+(1<<f.mantissa)), e-bias-f.mantissa)
}

func (f format) value(code uint32) float64 {
	v, magnitude := 0.0, code&^f.sign()
	switch {
	case magnitude <= f.largest():
		v = f.magnitude(magnitude)
	case f.infinite && magnitude == f.largest()+1:
		v = math.Inf(1)
	default:
		v = math.NaN()
	}
	if code&f.sign() != 0 {
		return -v
	}
	return v
}

// magnitudes are the values of the codes 0 … largest, and one more.
func (f format) magnitudes() []float64 {
	all := make([]float64, f.largest()+2)
	for code := range all {
		all[code] = f.magnitude(uint32(code))
	}
	return all
}

// nearest searches all, the format's magnitudes, for the code of v. Halfway
// points of neighbours are exact in float64.
func (f format) nearest(all []float64, v float64) uint32 {
	if math.IsNaN(v) {
		return f.nan
	}
	size := math.Abs(v)
	above, exact := slices.BinarySearch(all, size)
	code := uint32(above)
	switch {
	case exact:
	case above == len(all):
		code = f.largest() + 1
	default:
		half := (all[above-1] + all[above]) / 2
		if size < half || size == half && above%2 == 1 {
			code--
		}
	}
	if code > f.largest() && !f.infinite {
		return f.nan
	}
	if math.Signbit(v) {
		code |= f.sign()
	}
	return code
}

// put and get move a code to and from its little-endian bytes.
func (f format) put(b []byte, code uint32) {
	for i := range f.width() {
		b[i] = byte(code >> (8 * i))
	}
}

func (f format) get(b []byte) (code uint32) {
	for i := range f.width() {
		code |= uint32(b[i]) << (8 * i)
	}
	return code
}
