package quant

import "math"

// bitPacking is how codes of a few bits are laid one behind the other, from the lowest bit of the first byte on. With words that are whole, as
// many as fit into 32 bits stand in each, and what is left of it is empty.
type bitPacking struct {
	bits   int
	whole  bool
	values []float32 // of the codes
}

// bit is where a code begins.
func (p *bitPacking) bit(i int64) int64 {
	if p.whole {
		each := int64(32 / p.bits)
		return i/each*32 + i%each*int64(p.bits)
	}
	return i * int64(p.bits)
}

// words are how many words of 32 bits n codes take.
func (p *bitPacking) words(n int64) int64 {
	if n == 0 {
		return 0
	}
	return (p.bit(n-1)+int64(p.bits)-1)/32 + 1
}

// unpack restores codes from one on. src begins with the byte that it begins in.
func (p *bitPacking) unpack(dst []float32, src []byte, first int64) {
	if p.bits == 4 && first%2 == 0 { // whole bytes, either way
		p.unpackPairs(dst, src)
		return
	}
	base := p.bit(first) / 8 * 8
	for i := range dst {
		bit := p.bit(first+int64(i)) - base
		at := bit / 8
		code := uint32(src[at])
		if int(bit%8)+p.bits > 8 {
			code |= uint32(src[at+1]) << 8
		}
		dst[i] = p.values[code>>(bit%8)&(1<<p.bits-1)]
	}
}

// unpackPairs restores codes of four bits, of which two stand in each byte.
func (p *bitPacking) unpackPairs(dst []float32, src []byte) {
	values := (*[16]float32)(p.values)
	n := len(dst) / 2
	for i, pair := range src[:n] {
		two := dst[2*i : 2*i+2 : 2*i+2]
		two[0], two[1] = values[pair&15], values[pair>>4]
	}
	if len(dst)%2 != 0 {
		dst[2*n] = values[src[n]&15]
	}
}

// offsetIntegers are the values of integers of so many bits that are stored with 2^(bits−1) added. All weights share them.
var offsetIntegers = func() (tables [9][]float32) {
	for bits := 1; bits < len(tables); bits++ {
		for code := range 1 << bits {
			tables[bits] = append(tables[bits], float32(code-1<<(bits-1)))
		}
	}
	return tables
}()

// The values of E2M1 and E2M3.
var (
	valuesE2M1 = narrowFloats(1)
	valuesE2M3 = narrowFloats(3)
)

// narrowFloats are the values of floats of a sign, two bits of exponent and some of mantissa.
func narrowFloats(mantissa int) []float32 { return narrowFloatsOf(2, mantissa) }

// narrowFloatsOf are the values of floats of a sign and so many bits of exponent and mantissa, without infinities (OCP Microscaling Formats
// 1.0: E2M1, E2M3, E3M2).
func narrowFloatsOf(exponents, mantissa int) []float32 {
	half := 1 << (exponents + mantissa)
	least := float32(math.Ldexp(1, 2-1<<(exponents-1))) // the value of the lowest exponent
	values := make([]float32, 2*half)
	for code := range half {
		exponent, m := code>>mantissa, float32(code&(1<<mantissa-1))/float32(int(1)<<mantissa)
		x := m * least
		if exponent > 0 {
			x = (1 + m) * float32(int(1)<<(exponent-1)) * least
		}
		values[code], values[half+code] = x, -x
	}
	return values
}

// packedRows are rows of codes of a few bits, which each begin on a byte.
type packedRows struct {
	bitPacking
	cols   int64 // codes of a row
	stride int64 // bytes of a row
}

// bitCodes are codes of a few bits in a tensor.
type bitCodes struct {
	tensor int
	packedRows
}

// stored are the bytes that elements [lo, hi) have a part in.
func (c *packedRows) stored(lo, hi int64) (off, n int64) {
	if lo >= hi {
		return 0, 0
	}
	off = lo/c.cols*c.stride + c.bit(lo%c.cols)/8
	last := hi - 1
	end := last/c.cols*c.stride + (c.bit(last%c.cols)+int64(c.bits)-1)/8 + 1
	return off, end - off
}

// numbers implements [codeReader].
func (c *bitCodes) numbers(from codeLender, dst []float32, lo int64) error {
	off, n := c.stored(lo, lo+int64(len(dst)))
	return from.with(c.tensor, off, n, func(data []byte) error {
		for len(dst) > 0 {
			at := lo % c.cols
			begin, _ := c.stored(lo, lo+1)
			n := min(c.cols-at, int64(len(dst)))
			c.unpack(dst[:n], data[begin-off:], at)
			dst, lo = dst[n:], lo+n
		}
		return nil
	})
}
