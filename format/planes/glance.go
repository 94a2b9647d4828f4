package planes

import (
	"encoding/binary"
	"math/bits"
)

// glance is what a sample of a block says.
type glance struct{ elements, zeros, pairs, repeated int }

// Figures of a glance.
const (
	glancePart  = 64 // elements
	glanceParts = 32
)

func (g glance) share(n, of int) float64 { return float64(n) / float64(max(1, of)) }

// look samples a block.
func look(content []byte, width int) (g glance) {
	n := len(content) / width
	if n <= glancePart*glanceParts {
		g.add(content, width)
		return g
	}
	for i := range glanceParts {
		at := (n - glancePart) / (glanceParts - 1) * i
		g.add(content[at*width:(at+glancePart)*width], width)
	}
	return g
}

func (g *glance) add(content []byte, width int) {
	if width == 2 && len(content)%8 == 0 {
		g.addWords(content)
		return
	}
	before := uint64(0)
	for at := 0; at < len(content); at += width {
		v := word(content[at:], width)
		g.elements++
		if v == 0 {
			g.zeros++
		}
		if at > 0 {
			g.pairs++
			if v == before {
				g.repeated++
			}
		}
		before = v
	}
}

// addWords is add for elements of two bytes, four at a time.
func (g *glance) addWords(content []byte) {
	if len(content) == 0 {
		return
	}
	g.elements += len(content) / 2
	g.pairs += len(content)/2 - 1
	before := ^binary.LittleEndian.Uint64(content) << 48 // another element than the first
	for at := 0; at < len(content); at += 8 {
		x := binary.LittleEndian.Uint64(content[at:])
		g.zeros += 4 - bits.OnesCount64(lanesSet(x))
		g.repeated += 4 - bits.OnesCount64(lanesSet(x^(x<<16|before>>48)))
		before = x
	}
}
