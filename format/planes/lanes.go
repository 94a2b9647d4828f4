package planes

import (
	"encoding/binary"
	"math/bits"
)

// lanes are elements of one or two bytes that are worked on at once, in a word.
type lanes struct {
	signs uint64 // the upper bit of each lane
	units uint64 // the lower
	all   uint64 // a lane of ones
	top   uint   // the number of a lane's upper bit
}

var (
	laneBytes = lanes{0x80 * bytesUnits, bytesUnits, 0xff, 7}
	laneWords = lanes{laneSigns, 0x0001000100010001, 0xffff, 15}
)

// laneSigns are those of words.
const laneSigns = 0x8000800080008000

// sub is a − b in each lane.
func (l lanes) sub(a, b uint64) uint64 {
	return ((a | l.signs) - (b &^ l.signs)) ^ ((a ^ ^b) & l.signs)
}

// add is a + b in each lane.
func (l lanes) add(a, b uint64) uint64 {
	return ((a &^ l.signs) + (b &^ l.signs)) ^ ((a ^ b) & l.signs)
}

// fold turns small numbers of either sign into small ones without: 0, −1, 1, −2 into 0, 1, 2, 3.
func (l lanes) fold(d uint64) uint64 {
	return (d&^l.signs)<<1 ^ (d&l.signs)>>(l.top&63)*l.all
}

// unfold is the inverse of fold.
func (l lanes) unfold(z uint64) uint64 {
	return z>>1&^l.signs ^ z&l.units*l.all
}

// lanesSet has a bit for each lane that is not 0.
func lanesSet(x uint64) uint64 {
	set := ((x&^laneSigns + ^uint64(laneSigns)) | x) & laneSigns >> 15
	return set * (1<<48 | 1<<33 | 1<<18 | 1<<3) >> 48 & 15
}

// bytesUnits is the lower bit of each byte.
const bytesUnits = 0x0101010101010101

// bytesSet has a bit for each byte that is not 0.
func bytesSet(x uint64) uint64 {
	const low = 0x7f * bytesUnits
	set := ((x&low + low) | x) &^ low >> 7
	return set * (1<<56 | 1<<49 | 1<<42 | 1<<35 | 1<<28 | 1<<21 | 1<<14 | 1<<7) >> 56
}

// differences sets values to the folded differences of content and base; all have the same length, of whole
// elements.
func (l lanes) differences(values, content, base []byte) {
	le := binary.LittleEndian
	base, values = base[:len(content)], values[:len(content)]
	at := 0
	for ; at+8 <= len(content); at += 8 {
		le.PutUint64(values[at:at+8], l.fold(l.sub(le.Uint64(content[at:at+8]), le.Uint64(base[at:at+8]))))
	}
	if at < len(content) {
		putRest(values[at:], l.fold(l.sub(rest(content[at:]), rest(base[at:]))))
	}
}

// undo is the inverse of differences.
func (l lanes) undo(content, values, base []byte) {
	le := binary.LittleEndian
	base, content = base[:len(values)], content[:len(values)]
	at := 0
	for ; at+8 <= len(values); at += 8 {
		le.PutUint64(content[at:at+8], l.add(le.Uint64(base[at:at+8]), l.unfold(le.Uint64(values[at:at+8]))))
	}
	if at < len(values) {
		putRest(content[at:], l.add(rest(base[at:]), l.unfold(rest(values[at:]))))
	}
}

// rest is a word of fewer than eight bytes, and zeros.
func rest(p []byte) (x uint64) {
	for i, b := range p {
		x |= uint64(b) << (8 * i)
	}
	return x
}

// putRest is the inverse of rest.
func putRest(p []byte, x uint64) {
	for i := range p {
		p[i] = byte(x >> (8 * i))
	}
}

// maskWords is [maskElements] for elements of two bytes.
func maskWords(mask, others, src, base []byte) (n int) {
	le := binary.LittleEndian
	g := 0
	for ; 16*g+16 <= len(src); g++ {
		part := src[16*g : 16*g+16]
		x, y := le.Uint64(part), le.Uint64(part[8:])
		if base != nil {
			was := base[16*g : 16*g+16]
			x, y = x^le.Uint64(was), y^le.Uint64(was[8:])
		}
		m := lanesSet(x) | lanesSet(y)<<4
		mask[g] = byte(m)
		for ; m != 0; m &= m - 1 {
			j := bits.TrailingZeros64(m) & 7
			le.PutUint16(others[2*n:], le.Uint16(part[2*j:]))
			n++
		}
	}
	if g < len(mask) {
		m := 0
		for at := 16 * g; at < len(src); at += 2 {
			was := uint16(0)
			if base != nil {
				was = le.Uint16(base[at:])
			}
			if v := le.Uint16(src[at:]); v != was {
				le.PutUint16(others[2*n:], v)
				m |= 1 << (at / 2 & 7)
				n++
			}
		}
		mask[g] = byte(m)
	}
	return n
}
