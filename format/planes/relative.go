package planes

import (
	"bytes"
	"crypto/subtle"
	"encoding/binary"

	"weld/format"
)

// AppendRelative codes a block by a base of the same length, or without it, whatever makes a sample of it
// smallest.
func (e *Encoder) AppendRelative(dst []byte, t format.DType, content, base []byte) ([]byte, Coding) {
	if bytes.Equal(content, base) {
		return dst, Unchanged
	}
	w := shapeOf(t).width
	if len(content)%w != 0 {
		w = 1
	}
	at := len(dst)
	if coding := e.choose(t, content, base, w); coding.Relative() {
		if dst = e.relative(dst, coding, t, content, base, w); len(dst)-at < len(content) {
			return dst, coding
		}
		dst = dst[:at]
	}
	return e.Append(dst, t, content)
}

// Figures of the sample that a choice is made by.
const (
	choicePart  = 2 << 10 // bytes
	choiceParts = 16
)

// choose finds the coding that makes a sample smallest; [Stored] stands for one without the base.
func (e *Encoder) choose(t format.DType, content, base []byte, w int) (best Coding) {
	if len(content) > choicePart*choiceParts {
		e.sample[0], e.sample[1] = e.sample[0][:0], e.sample[1][:0]
		for i := range choiceParts {
			at := (len(content) - choicePart) / (choiceParts - 1) * i / w * w
			e.sample[0] = append(e.sample[0], content[at:at+choicePart]...)
			e.sample[1] = append(e.sample[1], base[at:at+choicePart]...)
		}
		content, base = e.sample[0], e.sample[1]
	}
	e.choice, _ = e.Append(e.choice[:0], t, content)
	least := len(e.choice)
	for _, c := range []Coding{Difference, Xor, Replaced} {
		if e.choice = e.relative(e.choice[:0], c, t, content, base, w); len(e.choice) < least {
			least, best = len(e.choice), c
		}
	}
	return best
}

// relative codes a block by a base.
func (e *Encoder) relative(dst []byte, c Coding, t format.DType, content, base []byte, w int) []byte {
	values := grown(&e.values, len(content))
	if c == Replaced { // a mask of what differs, and that
		mask := grown(&e.mask, (len(content)/w+7)/8)
		n := maskElements(mask, values, content, base, w)
		values = values[:n*w]
		dst = binary.LittleEndian.AppendUint32(dst, uint32(n))
		dst = e.simplePlane(dst, mask)
	} else {
		transform(values, content, base, w, c)
		t = unsigned[w]
	}
	at := len(dst)
	dst, inner := e.Append(append(dst, 0), t, values)
	dst[at] = byte(inner)
	return dst
}

// unsigned are the integer types of each width.
var unsigned = map[int]format.DType{1: format.U8, 2: format.U16, 4: format.U32, 8: format.U64}

// word reads an unsigned integer of w bytes: 1, 2, 4 or 8.
func word(p []byte, w int) uint64 {
	switch w {
	case 2:
		return uint64(binary.LittleEndian.Uint16(p))
	case 4:
		return uint64(binary.LittleEndian.Uint32(p))
	case 8:
		return binary.LittleEndian.Uint64(p)
	}
	return uint64(p[0])
}

func putWord(p []byte, w int, v uint64) {
	switch w {
	case 2:
		binary.LittleEndian.PutUint16(p, uint16(v))
	case 4:
		binary.LittleEndian.PutUint32(p, uint32(v))
	case 8:
		binary.LittleEndian.PutUint64(p, v)
	default:
		p[0] = byte(v)
	}
}

// transform sets values to what a relative coding makes of elements of w bytes.
func transform(values, content, base []byte, w int, c Coding) {
	switch {
	case c == Xor:
		subtle.XORBytes(values, content, base)
		return
	case w == 1:
		laneBytes.differences(values, content, base)
		return
	case w == 2:
		laneWords.differences(values, content, base)
		return
	}
	shift := 64 - 8*w
	for at := 0; at < len(content); at += w {
		d := int64((word(content[at:], w)-word(base[at:], w))<<shift) >> shift
		putWord(values[at:], w, uint64(d<<1^d>>63))
	}
}

// restore is the inverse of transform.
func restore(content, values, base []byte, w int, c Coding) {
	switch {
	case c == Xor:
		subtle.XORBytes(content, values, base)
		return
	case w == 1:
		laneBytes.undo(content, values, base)
		return
	case w == 2:
		laneWords.undo(content, values, base)
		return
	}
	for at := 0; at < len(values); at += w {
		z := word(values[at:], w)
		putWord(content[at:], w, word(base[at:], w)+(z>>1^-(z&1)))
	}
}
