//go:build !noasm

package huffman

import (
	"encoding/binary"
	"math/bits"

	"golang.org/x/sys/cpu"

	"weld/internal/vec"
)

// interleaved says that streams are read by assembly. It is a variable for tests.
var interleaved = vec.Level() >= vec.AVX2 && cpu.X86.HasBMI1 && cpu.X86.HasBMI2

// Kernels reports whether this machine reads faster than others' programs in Go.
func Kernels() bool { return interleaved }

// steps are streams that are read a few bytes of each at a time.
type steps struct {
	src    [2 * streams]*byte
	dst    [2 * streams]*byte
	at     [2 * streams]int    // in src, of the eight bytes that were loaded last
	bits   [2 * streams]uint64 // the next ones uppermost; the lowest that is set is none of them
	tables [2]*[room]uint16
	n      int // steps to do
}

// Bytes that a step reads, and how far it goes back for them at most.
const (
	stepBytes = 5
	stepCoded = 7
)

// readSteps reads most of the streams. What it leaves is at the end of each.
func readSteps(r *[2 * streams]reader, a, b *Table) {
	for interleaved {
		s := steps{tables: [2]*[room]uint16{&a.entries, &b.entries}, n: MostBytes}
		for i := range r {
			at := (r[i].n+7)/8 - 8
			s.n = min(s.n, max(0, at)/stepCoded, len(r[i].dst)/stepBytes)
			s.at[i] = at
		}
		if s.n == 0 {
			return
		}
		for i := range r {
			s.src[i], s.dst[i] = &r[i].src[0], &r[i].dst[0]
			word := binary.LittleEndian.Uint64(r[i].src[s.at[i]:])
			s.bits[i] = (word | 1) << (8*s.at[i] + 64 - r[i].n)
		}
		readStreams(&s)
		for i := range r {
			r[i].n = 8*s.at[i] + 64 - bits.TrailingZeros64(s.bits[i])
			r[i].dst = r[i].dst[stepBytes*s.n:]
		}
	}
}

// doubleSteps are streams that are read up to twice as many bytes of each at a time.
type doubleSteps struct {
	src  [streams]*byte
	dst  [streams]*byte
	at   [streams]int // as in steps
	bits [streams]uint64
	done [streams]int // bytes of dst that were read
	n    int
}

// readDoubles reads most of the streams. They come to their ends at different times: then fewer steps are done at once.
func readDoubles(r *[streams]reader, t *Table) {
	if !interleaved {
		return
	}
	for t.double(); ; {
		s := doubleSteps{n: MostBytes}
		for i := range r {
			at := (r[i].n+7)/8 - 8
			s.n = min(s.n, max(0, at)/stepCoded, len(r[i].dst)/(2*stepBytes))
			s.at[i] = at
		}
		if s.n == 0 {
			return
		}
		for i := range r {
			s.src[i], s.dst[i] = &r[i].src[0], &r[i].dst[0]
			word := binary.LittleEndian.Uint64(r[i].src[s.at[i]:])
			s.bits[i] = (word | 1) << (8*s.at[i] + 64 - r[i].n)
		}
		readPairs(&s, &t.doubles)
		for i := range r {
			r[i].n = 8*s.at[i] + 64 - bits.TrailingZeros64(s.bits[i])
			r[i].dst = r[i].dst[s.done[i]:]
		}
	}
}

// readPairs does n steps, of five looks into the table for each stream.
//
//go:noescape
func readPairs(s *doubleSteps, doubles *[room]uint32)

// readStreams does n steps.
//
//go:noescape
func readStreams(s *steps)
