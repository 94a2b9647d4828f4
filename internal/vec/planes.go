package vec

import "encoding/binary"

// A plane is the same bits of all elements, a byte of each. Elements are little endian.

// SplitBF16 takes bfloat16 apart: exponents, and signs with mantissas.
func SplitBF16(exponent, fraction, src []byte) {
	fraction, src = fraction[:len(exponent)], src[:2*len(exponent)]
	for i := splitBF16SIMD(exponent, fraction, src); i < len(exponent); i++ {
		v := binary.LittleEndian.Uint16(src[2*i:])
		exponent[i] = byte(v >> 7)
		fraction[i] = byte(v)&0x7f | byte(v>>8)&0x80
	}
}

// JoinBF16 is the inverse of [SplitBF16].
func JoinBF16(dst, exponent, fraction []byte) {
	fraction, dst = fraction[:len(exponent)], dst[:2*len(exponent)]
	for i := joinBF16SIMD(dst, exponent, fraction); i < len(exponent); i++ {
		e, f := uint16(exponent[i]), uint16(fraction[i])
		binary.LittleEndian.PutUint16(dst[2*i:], e<<7|f&0x7f|f&0x80<<8)
	}
}

// SplitF32 takes float32 apart: exponents, signs with the leading seven bits of the mantissas, and
// the other two bytes.
func SplitF32(exponent, fraction, middle, low, src []byte) {
	n := len(exponent)
	fraction, middle, low, src = fraction[:n], middle[:n], low[:n], src[:4*n]
	for i := splitF32SIMD(exponent, fraction, middle, low, src); i < n; i++ {
		v := binary.LittleEndian.Uint32(src[4*i:])
		exponent[i] = byte(v >> 23)
		fraction[i] = byte(v>>16)&0x7f | byte(v>>24)&0x80
		middle[i], low[i] = byte(v>>8), byte(v)
	}
}

// JoinF32 is the inverse of [SplitF32].
func JoinF32(dst, exponent, fraction, middle, low []byte) {
	n := len(exponent)
	fraction, middle, low, dst = fraction[:n], middle[:n], low[:n], dst[:4*n]
	for i := joinF32SIMD(dst, exponent, fraction, middle, low); i < n; i++ {
		e, f := uint32(exponent[i]), uint32(fraction[i])
		binary.LittleEndian.PutUint32(dst[4*i:], e<<23|f&0x80<<24|f&0x7f<<16|uint32(middle[i])<<8|uint32(low[i]))
	}
}

// Split2 takes elements of two bytes apart.
func Split2(high, low, src []byte) {
	low, src = low[:len(high)], src[:2*len(high)]
	for i := split2SIMD(high, low, src); i < len(high); i++ {
		low[i], high[i] = src[2*i], src[2*i+1]
	}
}

// Join2 is the inverse of [Split2].
func Join2(dst, high, low []byte) {
	low, dst = low[:len(high)], dst[:2*len(high)]
	for i := join2SIMD(dst, high, low); i < len(high); i++ {
		dst[2*i], dst[2*i+1] = low[i], high[i]
	}
}

// Codes gives some bytes a code of four bits: those of a window of 16 neighbours, and 0. The others, and
// those of the window that have none, share the code [Escape].
type Codes struct {
	Lo     byte     // the first of the window
	Window [16]byte // codes
	Zero   byte     // the code of 0
}

// Escape is the code of bytes without one.
const Escape = 15

// Of is the code of a byte.
func (c *Codes) Of(v byte) byte {
	switch d := v - c.Lo; {
	case v == 0:
		return c.Zero
	case d < 16:
		return c.Window[d]
	}
	return Escape
}

// pairGroup is how many codes are packed together: that of an element shares a byte with the
// one half a group behind it.
const pairGroup = 64

// PairCodes looks up the codes of bytes and packs two to a byte: in every group of 64, those 32 apart; in
// the last group, if it is shorter, those half its length apart, rounded up. dst has a byte
// for two. It reports how many are [Escape].
func PairCodes(dst, src []byte, codes *Codes) (escapes int) {
	dst = dst[:Paired(len(src))]
	done, escapes := pairCodesSIMD(dst, src, codes)
	dst, src = dst[done/2:], src[done:]
	for len(src) > 0 {
		n := min(len(src), pairGroup)
		half := (n + 1) / 2
		for j := range half {
			a, b := codes.Of(src[j]), byte(0)
			if j+half < n {
				b = codes.Of(src[j+half])
			}
			if a == Escape {
				escapes++
			}
			if b == Escape {
				escapes++
			}
			dst[j] = a | b<<4
		}
		src, dst = src[n:], dst[half:]
	}
	return escapes
}

// Paired is how many bytes the codes of n take in pairs.
func Paired(n int) int { return n/pairGroup*(pairGroup/2) + (n%pairGroup+1)/2 }

// UnpairCodes unpacks what [PairCodes] packed, and looks up the bytes that the codes stand for.
func UnpairCodes(dst, src []byte, values *[16]byte) {
	src = src[:Paired(len(dst))]
	done := unpairCodesSIMD(dst, src, values)
	dst, src = dst[done:], src[done/2:]
	for len(dst) > 0 {
		n := min(len(dst), pairGroup)
		half := (n + 1) / 2
		for j, b := range src[:half] {
			dst[j] = values[b&15]
			if j+half < n {
				dst[j+half] = values[b>>4]
			}
		}
		dst, src = dst[n:], src[half:]
	}
}
