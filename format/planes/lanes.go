package planes

import (
	"encoding/binary"
	"math/bits"
)

// Four elements of two bytes are worked on at once, as lanes of a word.
const (
	laneSigns = 0x8000800080008000 // the upper bit of each lane
	laneUnits = 0x0001000100010001 // the lower
)

// lanesSub is a − b in each lane.
func lanesSub(a, b uint64) uint64 {
	return ((a | laneSigns) - (b &^ laneSigns)) ^ ((a ^ ^b) & laneSigns)
}

// lanesAdd is a + b in each lane.
func lanesAdd(a, b uint64) uint64 {
	return ((a &^ laneSigns) + (b &^ laneSigns)) ^ ((a ^ b) & laneSigns)
}

// lanesFold turns small numbers of either sign into small ones without: 0, −1, 1, −2 into 0, 1, 2, 3.
func lanesFold(d uint64) uint64 {
	return (d&^laneSigns)<<1 ^ (d&laneSigns)>>15*0xffff
}

// lanesUnfold is the inverse of lanesFold.
func lanesUnfold(z uint64) uint64 {
	return z>>1&^laneSigns ^ z&laneUnits*0xffff
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
func differences(values, content, base []byte) {
	le := binary.LittleEndian
	base, values = base[:len(content)], values[:len(content)]
	at := 0
	for ; at+8 <= len(content); at += 8 {
		le.PutUint64(values[at:at+8], lanesFold(lanesSub(le.Uint64(content[at:at+8]), le.Uint64(base[at:at+8]))))
	}
	for ; at+2 <= len(content); at += 2 {
		d := lanesSub(uint64(le.Uint16(content[at:])), uint64(le.Uint16(base[at:])))
		le.PutUint16(values[at:], uint16(lanesFold(d)))
	}
}

// undo is the inverse of differences.
func undo(content, values, base []byte) {
	le := binary.LittleEndian
	base, content = base[:len(values)], content[:len(values)]
	at := 0
	for ; at+8 <= len(values); at += 8 {
		le.PutUint64(content[at:at+8], lanesAdd(le.Uint64(base[at:at+8]), lanesUnfold(le.Uint64(values[at:at+8]))))
	}
	for ; at+2 <= len(values); at += 2 {
		x := lanesAdd(uint64(le.Uint16(base[at:])), lanesUnfold(uint64(le.Uint16(values[at:]))))
		le.PutUint16(content[at:], uint16(x))
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
