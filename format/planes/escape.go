package planes

import (
	"encoding/binary"

	"weld/internal/vec"
)

// escaped yields the elements, of n, whose code is [vec.Escape], in order. There are few.
func escaped(pairs []byte, n int) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for at := nextEscape(pairs, 0); at < len(pairs); at = nextEscape(pairs, at) {
			const group = 64
			begin := at / (group / 2) * group
			size := min(group, n-begin)
			half := (size + 1) / 2
			codes := pairs[begin/2 : begin/2+half]
			for i := range size {
				if codes[i%half]>>(4*(i/half))&15 == vec.Escape && !yield(begin+i) {
					return
				}
			}
			at = begin/2 + half
		}
	}
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
