package huffman

import (
	"encoding/binary"
	"math/bits"
)

// Part is what [Code.AppendStreams] wrote, and where its bytes go to: as many as it was made of.
type Part struct {
	Table   *Table
	Coded   []byte
	Content []byte
}

// Read reads two parts side by side: each stream has to wait for one code before it knows where the next one begins, and there is
// time for seven others meanwhile.
func Read(a, b *Part) error {
	var r [2 * streams]reader
	if err := a.open(r[:streams]); err != nil {
		return err
	}
	if err := b.open(r[streams:]); err != nil {
		return err
	}
	readSteps(&r, a.Table, b.Table)
	if err := readRest(r[:streams], a.Table); err != nil {
		return err
	}
	return readRest(r[streams:], b.Table)
}

// ReadOne reads a part alone: two bytes at a time, where both have short codes.
func ReadOne(a *Part) error {
	var r [streams]reader
	if err := a.open(r[:]); err != nil {
		return err
	}
	readDoubles(&r, a.Table)
	return readRest(r[:], a.Table)
}

func readRest(r []reader, t *Table) error {
	for i := range r {
		if err := r[i].read(t); err != nil {
			return err
		}
	}
	return nil
}

// reader is a stream that is being read, from its end.
type reader struct {
	src []byte
	n   int // bits that are left
	dst []byte
}

// open finds the streams.
func (p *Part) open(r []reader) error {
	if len(p.Content) < LeastBytes || len(p.Content) > MostBytes || len(p.Coded) < jumps {
		return damaged("%d bytes in %d", len(p.Content), len(p.Coded))
	}
	quarter := (len(p.Content) + streams - 1) / streams
	src, dst := p.Coded[jumps:], p.Content
	for i := range r {
		n, m := len(src), len(dst)
		if i < streams-1 {
			n, m = int(binary.LittleEndian.Uint16(p.Coded[2*i:])), quarter
		}
		if n == 0 || n > len(src) || src[n-1] == 0 {
			return damaged("stream %d of %d bytes", i, n)
		}
		r[i] = reader{src[:n:n], 8*n - bits.LeadingZeros8(src[n-1]) - 1, dst[:m:m]}
		src, dst = src[n:], dst[m:]
	}
	return nil
}

// read is the reference: it reads what is left.
func (r *reader) read(t *Table) error {
	for len(r.dst) > 0 {
		word, have := r.peek()
		for have >= MaxBits && len(r.dst) > 0 {
			e := t.entries[word>>(64-MaxBits)]
			length := int(e & 0xff)
			r.dst[0], r.dst = byte(e>>8), r.dst[1:]
			word <<= length & 63
			have -= length
			r.n -= length
		}
		if r.n < 0 {
			return damaged("a stream ends too early")
		}
	}
	if r.n != 0 {
		return damaged("%d bits of a stream are left", r.n)
	}
	return nil
}

// peek returns the next bits, the first one uppermost, and how many there are: behind the last of the stream there are zeros.
func (r *reader) peek() (word uint64, have int) {
	end := (r.n + 7) / 8
	if end >= 8 {
		unused := 8*end - r.n
		return binary.LittleEndian.Uint64(r.src[end-8:]) << unused, 64 - unused
	}
	for i := range end {
		word |= uint64(r.src[i]) << (8 * i)
	}
	return word << (64 - r.n), 64
}
