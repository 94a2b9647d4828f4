package vec

import "encoding/binary"

// Planes are the same bits of all elements, a byte of each. Elements are little endian.

// SplitBF16 takes bfloat16 apart: exponents, and the sign with the mantissa.
func SplitBF16(exponent, fraction, src []byte) { splitBF16(exponent, fraction, src) }

func splitBF16Go(exponent, fraction, src []byte) {
	fraction = fraction[:len(exponent)]
	for i := range exponent {
		v := binary.LittleEndian.Uint16(src[2*i:])
		exponent[i] = byte(v >> 7)
		fraction[i] = byte(v)&0x7f | byte(v>>8)&0x80
	}
}

// JoinBF16 is the inverse of [SplitBF16].
func JoinBF16(dst, exponent, fraction []byte) { joinBF16(dst, exponent, fraction) }

func joinBF16Go(dst, exponent, fraction []byte) {
	fraction = fraction[:len(exponent)]
	for i, e := range exponent {
		f := uint16(fraction[i])
		binary.LittleEndian.PutUint16(dst[2*i:], uint16(e)<<7|f&0x7f|f&0x80<<8)
	}
}

// SplitF32 takes float32 apart: exponents, the sign with the leading seven bits of the mantissa, and its
// other two bytes.
func SplitF32(exponent, fraction, middle, low, src []byte) {
	splitF32(exponent, fraction, middle, low, src)
}

func splitF32Go(exponent, fraction, middle, low, src []byte) {
	fraction, middle, low = fraction[:len(exponent)], middle[:len(exponent)], low[:len(exponent)]
	for i := range exponent {
		v := binary.LittleEndian.Uint32(src[4*i:])
		exponent[i] = byte(v >> 23)
		fraction[i] = byte(v>>16)&0x7f | byte(v>>24)&0x80
		middle[i], low[i] = byte(v>>8), byte(v)
	}
}

// JoinF32 is the inverse of [SplitF32].
func JoinF32(dst, exponent, fraction, middle, low []byte) {
	joinF32(dst, exponent, fraction, middle, low)
}

func joinF32Go(dst, exponent, fraction, middle, low []byte) {
	fraction, middle, low = fraction[:len(exponent)], middle[:len(exponent)], low[:len(exponent)]
	for i, e := range exponent {
		f := uint32(fraction[i])
		binary.LittleEndian.PutUint32(dst[4*i:], uint32(e)<<23|f&0x80<<24|f&0x7f<<16|uint32(middle[i])<<8|uint32(low[i]))
	}
}

// Split2 takes elements of two bytes apart.
func Split2(high, low, src []byte) { split2(high, low, src) }

func split2Go(high, low, src []byte) {
	low = low[:len(high)]
	for i := range high {
		low[i], high[i] = src[2*i], src[2*i+1]
	}
}

// Join2 is the inverse of [Split2].
func Join2(dst, high, low []byte) { join2(dst, high, low) }

func join2Go(dst, high, low []byte) {
	low = low[:len(high)]
	for i, h := range high {
		dst[2*i], dst[2*i+1] = low[i], h
	}
}

// pairGroup is how many codes are packed together: that of element i shares a byte with the one of
// element i + half the group.
const pairGroup = 64

// PairCodes looks codes of four bits up and packs two to a byte: in every group of 64 elements, those
// 32 apart; in the last group, if it is shorter, those half its length apart, rounded up. It reports how many
// codes are 15. dst has a byte for every two elements.
func PairCodes(dst, src []byte, codes *[256]byte) (escapes int) { return pairCodes(dst, src, codes) }

func pairCodesGo(dst, src []byte, codes *[256]byte) (escapes int) {
	for len(src) > 0 {
		n := min(len(src), pairGroup)
		half := (n + 1) / 2
		for j := range half {
			c := codes[src[j]]
			if c == 15 {
				escapes++
			}
			if j+half < n {
				d := codes[src[j+half]]
				if d == 15 {
					escapes++
				}
				c |= d << 4
			}
			dst[j] = c
		}
		src, dst = src[n:], dst[half:]
	}
	return escapes
}

// UnpairCodes unpacks what [PairCodes] packed, and looks the values up.
func UnpairCodes(dst, src []byte, values *[16]byte) { unpairCodes(dst, src, values) }

func unpairCodesGo(dst, src []byte, values *[16]byte) {
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
