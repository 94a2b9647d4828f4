package planes

import (
	"encoding/binary"
	"math/bits"

	"weld/internal/vec"
)

// escaped yields the elements, of n, whose code is [vec.Escape], in order. There are few.
func escaped(pairs []byte, n int) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for at := nextEscape(pairs, 0); at < len(pairs); at = nextEscape(pairs, at) {
			begin := at / (escapeGroup / 2) * escapeGroup
			size := min(escapeGroup, n-begin)
			half := (size + 1) / 2
			codes := pairs[begin/2 : begin/2+half]
			for found := escapesOf(codes, size); found != 0; found &= found - 1 {
				if !yield(begin + bits.TrailingZeros64(found)) {
					return
				}
			}
			at = begin/2 + half
		}
	}
}

// escapeGroup is how many elements are packed together: see [vec.PairCodes].
const escapeGroup = 64

// escapesOf has a bit for each element of a group whose code is [vec.Escape].
func escapesOf(codes []byte, size int) (found uint64) {
	if size < escapeGroup {
		for i := range size {
			if codes[i%len(codes)]>>(4*(i/len(codes)))&15 == vec.Escape {
				found |= 1 << i
			}
		}
		return found
	}
	for k := range 4 { // eight bytes: elements of the lower half of the group, and of the upper
		f := fifteens(binary.LittleEndian.Uint64(codes[8*k:]))
		found |= bytesSet(f&bytesUnits)<<(8*k) | bytesSet(f&(bytesUnits<<4))<<(8*k+32)
	}
	return found
}

// nextEscape is the first byte from at on in whose group a code is [vec.Escape]; the length of pairs if
// there is none. A group is looked at as a whole.
func nextEscape(pairs []byte, at int) int {
	for ; at+32 <= len(pairs); at += 32 {
		p := pairs[at : at+32 : at+32]
		a, b := binary.LittleEndian.Uint64(p), binary.LittleEndian.Uint64(p[8:])
		c, d := binary.LittleEndian.Uint64(p[16:]), binary.LittleEndian.Uint64(p[24:])
		if fifteens(a)|fifteens(b)|fifteens(c)|fifteens(d) != 0 {
			return at
		}
	}
	for ; at < len(pairs); at++ {
		if b := pairs[at]; b&15 == vec.Escape || b>>4 == vec.Escape {
			return at
		}
	}
	return at
}

// fifteens is not 0 if four bits of w are 15.
func fifteens(w uint64) uint64 {
	w &= w >> 1
	return w & (w >> 2) & 0x1111111111111111
}
