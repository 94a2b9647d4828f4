package huffman

import (
	"slices"

	"github.com/klauspost/compress/fse"
)

// MaxBits is the length of the longest code.
const MaxBits = 11

// Code is a Huffman code. Its memory serves one after the other; it is not for concurrent use. The zero Code has
// none yet.
type Code struct {
	description []byte
	tables      tables
	words       [256]uint32 // code << 8 | length

	leaves  []uint64 // count << 8 | byte, ascending
	weights [256]byte
	lengths [256]uint8 // in the order of leaves
	scratch fse.Scratch
}

// tables are what the bytes of codes are looked up in.
type tables struct{ length, low, high [256]byte }

// Build makes the code that is best for bytes so counted. It reports false where there is none: fewer than two
// bytes are there, or the code cannot be described.
func (c *Code) Build(counts *Counts) bool {
	c.leaves = c.leaves[:0]
	for b, n := range counts {
		if n > 0 {
			c.leaves = append(c.leaves, uint64(n)<<8|uint64(b))
		}
	}
	if len(c.leaves) < 2 {
		return false
	}
	slices.Sort(c.leaves)
	c.measure()
	c.bound()
	longest := c.lengths[0]
	c.weigh(longest)
	if !c.describe() {
		return false
	}
	c.assign(longest)
	return true
}

// weigh turns lengths into weights: 0 for a byte that is not there, 1 for the longest code.
func (c *Code) weigh(longest uint8) {
	clear(c.weights[:])
	for i, leaf := range c.leaves {
		c.weights[byte(leaf)] = longest + 1 - c.lengths[i]
	}
}

// describe prints the weights of all bytes but the last that is there, which follows from them.
func (c *Code) describe() bool {
	last := 255
	for c.weights[last] == 0 {
		last--
	}
	weights := c.weights[:last]
	c.scratch.TableLog = 6 // section 4.2.1.2
	packed, err := fse.Compress(weights, &c.scratch)
	if last > 1 && err == nil && len(packed) < min(128, (last+1)/2) {
		c.description = append(append(c.description[:0], byte(len(packed))), packed...)
		return true
	}
	if last > 128 {
		return false
	}
	c.description = append(c.description[:0], byte(127+last))
	for i := 0; i < last; i += 2 { // the weight behind an odd number of them is 0
		pair := weights[i] << 4
		if i+1 < last {
			pair |= weights[i+1]
		}
		c.description = append(c.description, pair)
	}
	return true
}

// assign numbers the codes: the longest first, and those of one length by their bytes.
func (c *Code) assign(longest uint8) {
	var next [MaxBits + 2]uint32 // by weight, in units of the longest code
	var many [MaxBits + 2]uint32
	for _, w := range c.weights {
		many[w]++
	}
	for w := 1; w <= MaxBits; w++ {
		next[w+1] = next[w] + many[w]<<(w-1)
	}
	for b, w := range c.weights {
		code, length := uint32(0), uint32(0)
		if w > 0 {
			code, length = next[w]>>(w-1), uint32(longest+1-w)
			next[w] += 1 << (w - 1)
		}
		c.words[b] = code<<8 | length
		c.tables.length[b], c.tables.low[b], c.tables.high[b] = byte(length), byte(code), byte(code>>8)
	}
}

// Description is how the code is told, in front of the streams. It is valid until the next code is built.
func (c *Code) Description() []byte { return c.description }

// Bits is how many bits such bytes take. A byte that has no code counts as many as a long one.
func (c *Code) Bits(counts *Counts) (n int64) {
	for b, k := range counts {
		length := c.words[b] & 0xff
		if length == 0 {
			length = 4 * MaxBits
		}
		n += int64(k) * int64(length)
	}
	return n
}
