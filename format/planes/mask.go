package planes

import (
	"encoding/binary"
	"math/bits"
)

// maskBytes sets the bits of what differs from the bytes of a base; without one, from a value. It collects what does; others has
// room for all of src. It returns how many there are.
func maskBytes(mask, others, src, base []byte, value byte) (n int) {
	g, was := 0, uint64(value)*bytesUnits
	for ; 8*g+8 <= len(src); g++ {
		part := src[8*g : 8*g+8]
		if base != nil {
			was = binary.LittleEndian.Uint64(base[8*g : 8*g+8])
		}
		m := bytesSet(binary.LittleEndian.Uint64(part) ^ was)
		mask[g] = byte(m)
		for ; m != 0; m &= m - 1 {
			others[n] = part[bits.TrailingZeros64(m)&7]
			n++
		}
	}
	if g < len(mask) {
		m := byte(0)
		for j, b := range src[8*g:] {
			if base != nil {
				value = base[8*g+j]
			}
			if b != value {
				others[n] = b
				m |= 1 << j
				n++
			}
		}
		mask[g] = m
	}
	return n
}

// maskElements does the same with elements of w bytes that differ from those of a base; without one, from 0.
func maskElements(mask, others, src, base []byte, w int) (n int) {
	others = others[:len(src)]
	switch w {
	case 1:
		return maskBytes(mask, others, src, base, 0)
	case 2:
		return maskWords(mask, others, src, base)
	}
	for g := range mask {
		m := byte(0)
		for i := 8 * g; i < min(8*g+8, len(src)/w); i++ {
			v, was := word(src[i*w:], w), uint64(0)
			if base != nil {
				was = word(base[i*w:], w)
			}
			if v != was {
				putWord(others[n*w:], w, v)
				m |= 1 << (i & 7)
				n++
			}
		}
		mask[g] = m
	}
	return n
}
