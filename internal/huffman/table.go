package huffman

import (
	"errors"
	"fmt"
	"math/bits"

	"github.com/klauspost/compress/fse"
)

// Table reads a code: by the next [MaxBits] bits, a byte and how many of them are its code. Its memory serves one code after
// the other; it is not for concurrent use. The zero Table has none yet.
type Table struct {
	entries [room]uint16 // byte << 8 | bits
	doubles [room]uint32 // two bytes << 16, or one; how many << 8 | bits
	scratch fse.Scratch
}

// errDamaged is wrapped by the errors of reading.
var errDamaged = errors.New("damaged Huffman code")

func damaged(detail string, args ...any) error {
	return fmt.Errorf("%w: %s", errDamaged, fmt.Sprintf(detail, args...))
}

// Read reads what [Code.Description] says, and returns what stands behind it.
func (t *Table) Read(src []byte) (rest []byte, err error) {
	if len(src) == 0 {
		return nil, damaged("it has no description")
	}
	var weights [256]byte
	n := 0
	if head := int(src[0]); head < 128 {
		if rest, n, err = t.coded(&weights, src[1:], head); err != nil {
			return nil, err
		}
	} else {
		n = head - 127
		if len(src)-1 < (n+1)/2 {
			return nil, damaged("its description is cut short")
		}
		for i := range n {
			weights[i] = src[1+i/2] >> (4 * (1 - i%2)) & 15
		}
		rest = src[1+(n+1)/2:]
	}
	return rest, t.fill(&weights, n)
}

// coded reads weights that are coded themselves, in so many bytes.
func (t *Table) coded(weights *[256]byte, src []byte, bytes int) (rest []byte, n int, err error) {
	if bytes > len(src) {
		return nil, 0, damaged("its description is cut short")
	}
	t.scratch.DecompressLimit = 255
	list, err := fse.Decompress(src[:bytes], &t.scratch)
	if err != nil {
		return nil, 0, damaged("its weights: %v", err)
	}
	if len(list) > 255 {
		return nil, 0, damaged("it has %d weights", len(list))
	}
	return src[bytes:], copy(weights[:], list), nil
}

// fill fills the table by n weights; that of the byte behind them fills what they leave.
func (t *Table) fill(weights *[256]byte, n int) error {
	var many [MaxBits + 2]int
	sum := 0
	for _, w := range weights[:n] {
		if w > MaxBits {
			return damaged("a weight of %d", w)
		}
		if w > 0 {
			sum += 1 << (w - 1)
		}
		many[w]++
	}
	longest := bits.Len(uint(sum))
	left := 1<<longest - sum
	if sum == 0 || longest > MaxBits || left&(left-1) != 0 {
		return damaged("its weights make %d", sum)
	}
	last := bits.Len(uint(left))
	weights[n] = byte(last)
	many[last]++
	if many[1] < 2 { // the longest codes come in pairs: without one, all codes could be shorter, and other readers refuse them
		return damaged("no code has %d bits", longest)
	}

	var next [MaxBits + 2]int // entry, by weight
	spare := MaxBits - longest
	for w := 1; w <= MaxBits; w++ {
		next[w+1] = next[w] + many[w]<<(w-1+spare)
	}
	for b, w := range weights[:n+1] {
		if w == 0 {
			continue
		}
		entries := t.entries[next[w] : next[w]+1<<(int(w)-1+spare)]
		next[w] += len(entries)
		entry := uint16(b)<<8 | uint16(longest+1-int(w))
		for i := range entries {
			entries[i] = entry
		}
	}
	return nil
}

// double looks up two bytes at once, where the bits of both are among those that are looked up.
func (t *Table) double() {
	for i, e := range t.entries {
		length := e & 0xff
		next := t.entries[i<<(length&15)&(room-1)]
		if both := length + next&0xff; both <= MaxBits {
			t.doubles[i] = uint32(next>>8)<<24 | uint32(e>>8)<<16 | 2<<8 | uint32(both)
		} else {
			t.doubles[i] = uint32(e>>8)<<16 | 1<<8 | uint32(length)
		}
	}
}
