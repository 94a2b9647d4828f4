package planes

import "encoding/binary"

// Masks are made without branches: what is random cannot be predicted.

// one is 1 if different is true.
func one(different bool) int {
	if different {
		return 1
	}
	return 0
}

// maskBytes sets the bits of what differs from a value, and collects it; others has room for all of src. It
// returns how many there are.
func maskBytes(mask, others, src []byte, value byte) (n int) {
	others = others[:len(src)]
	clear(mask)
	for i, b := range src {
		others[n] = b
		k := one(b != value)
		n += k
		mask[i>>3] |= byte(k << (i & 7))
	}
	return n
}

// maskElements does the same with elements of w bytes that differ from those of a base; without one, from 0.
func maskElements(mask, others, src, base []byte, w int) (n int) {
	others = others[:len(src)]
	clear(mask)
	le := binary.LittleEndian
	switch {
	case w == 2 && base == nil:
		for i := range len(src) / 2 {
			v := le.Uint16(src[2*i:])
			le.PutUint16(others[2*n:], v)
			k := one(v != 0)
			n += k
			mask[i>>3] |= byte(k << (i & 7))
		}
		return n
	case w == 2:
		base = base[:len(src)]
		for i := range len(src) / 2 {
			v := le.Uint16(src[2*i:])
			le.PutUint16(others[2*n:], v)
			k := one(v != le.Uint16(base[2*i:]))
			n += k
			mask[i>>3] |= byte(k << (i & 7))
		}
		return n
	}
	for i := range len(src) / w {
		v, was := word(src[i*w:], w), uint64(0)
		if base != nil {
			was = word(base[i*w:], w)
		}
		putWord(others[n*w:], w, v)
		k := one(v != was)
		n += k
		mask[i>>3] |= byte(k << (i & 7))
	}
	return n
}
