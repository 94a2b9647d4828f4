package planes

import (
	"encoding/binary"
	"math"

	"weld/internal/huffman"
)

// The codings of a plane.
const (
	planeStored   = 0
	planeConstant = 1
	planeHuffman  = 2
	planeDeflated = 3
	planePaired   = 4
	planeMostly   = 5
)

// planeHead is the size of a plane's coding and length.
const planeHead = 5

// chunk is how many symbols have a Huffman code of their own.
const chunk = huffman.MostBytes

// chunkHead is the size of a chunk's kind and length.
const chunkHead = 4

// leastChunk is how many symbols a chunk has at least that is given a code.
const leastChunk = 32

// Kinds of a chunk.
const (
	chunkStored   = 0
	chunkConstant = 1
	chunkHuffman  = 2
)

// histogram counts bytes of a sample.
type histogram struct {
	counts huffman.Counts
	n      int
}

// Figures of a sample.
const (
	sampleAll   = 8 << 10 // up to this length it is the whole
	samplePart  = 512
	sampleParts = 16
)

// sample looks at some of the bytes, spread over all.
func sample(src []byte) (h histogram) {
	if len(src) <= sampleAll {
		h.add(src)
		return h
	}
	var parts [sampleParts * samplePart]byte // counted at once
	for i := range sampleParts {
		at := (len(src) - samplePart) / (sampleParts - 1) * i
		copy(parts[i*samplePart:], src[at:at+samplePart])
	}
	h.add(parts[:])
	return h
}

func (h *histogram) add(src []byte) {
	h.counts.Add(src)
	h.n += len(src)
}

// entropy is in bits for each byte.
func (h *histogram) entropy() (bits float64) {
	for _, c := range h.counts {
		if c > 0 {
			p := float64(c) / float64(h.n)
			bits -= p * math.Log2(p)
		}
	}
	return bits
}

// top is the most frequent byte, and its share.
func (h *histogram) top() (value byte, share float64) {
	best := uint32(0)
	for v, c := range h.counts {
		if c > best {
			best, value = c, byte(v)
		}
	}
	return value, float64(best) / float64(max(1, h.n))
}

// window is the first of 16 neighbouring values that cover most, and their share.
func (h *histogram) window() (lo byte, share float64) {
	sum, best := 0, -1
	for v, c := range h.counts {
		sum += int(c)
		if v >= 16 {
			sum -= int(h.counts[v-16])
		}
		if v >= 15 && sum > best {
			best, lo = sum, byte(v-15)
		}
	}
	return lo, float64(best) / float64(max(1, h.n))
}

// appendPlane codes a plane.
func (e *Encoder) appendPlane(dst, src []byte) []byte {
	at := len(dst)
	dst = append(dst, planeStored, 0, 0, 0, 0)
	coded, coding := e.codePlane(dst, src)
	if len(coded)-len(dst) >= len(src) && coding != planeStored {
		coded, coding = append(coded[:len(dst)], src...), planeStored
	}
	coded[at] = coding
	binary.LittleEndian.PutUint32(coded[at+1:], uint32(len(coded)-at-planeHead))
	return coded
}

// Shares at which a coding pays.
const (
	mostlyShare    = 0.8  // of one value: a Huffman code spends a bit on it, a mask less
	pairedShare    = 0.98 // of 15 neighbouring values
	storedEntropy  = 7.6  // bits from which on a code saves too little for its time
	pairedEntropy  = 4.5  // bits from which on pairs are too many
	sparseBytes    = 8    // a mask of fewer is not worth while
	leastHuffman   = 64   // symbols
	leastDeflation = 64
)

// codePlane chooses by a sample.
func (e *Encoder) codePlane(dst, src []byte) ([]byte, byte) {
	if len(src) == 0 {
		return dst, planeStored
	}
	h := sample(src)
	top, share := h.top()
	if share == 1 && same(src, top) {
		return append(dst, top), planeConstant
	}
	entropy := h.entropy()
	switch {
	case entropy > storedEntropy || len(src) < leastHuffman:
		return append(dst, src...), planeStored
	case share > mostlyShare && len(src) >= 8*sparseBytes:
		return e.mostly(dst, src, top), planeMostly
	case entropy < pairedEntropy && len(src) >= leastHuffman:
		if coded, ok := e.paired(dst, src, &h); ok {
			return coded, planePaired
		}
	}
	return e.huffman(dst, src), planeHuffman
}

// same reports whether all bytes have one value.
func same(src []byte, value byte) bool {
	for _, b := range src {
		if b != value {
			return false
		}
	}
	return true
}

// simplePlane codes a plane inside another coding: with stored, constant, Huffman and
// deflated there is enough to choose from, and no more depth.
func (e *Encoder) simplePlane(dst, src []byte) []byte {
	at := len(dst)
	dst = append(dst, planeStored, 0, 0, 0, 0)
	h := sample(src)
	top, share := h.top()
	coded, coding := dst, byte(planeStored)
	switch {
	case len(src) > 0 && share == 1 && same(src, top):
		coded, coding = append(dst, top), planeConstant
	case len(src) >= leastHuffman && h.entropy() <= storedEntropy:
		coded, coding = e.huffman(dst, src), planeHuffman
		if len(coded)-len(dst) < len(src)/6 { // the code's one bit is more than there is to say
			if deflated := e.deflate(nil, src); len(deflated) < len(coded)-len(dst) {
				coded, coding = append(dst, deflated...), planeDeflated
			}
		}
	}
	if coding == planeStored || len(coded)-len(dst) >= len(src) && coding != planeConstant {
		coded, coding = append(dst, src...), planeStored
	}
	coded[at] = coding
	binary.LittleEndian.PutUint32(coded[at+1:], uint32(len(coded)-at-planeHead))
	return coded
}
