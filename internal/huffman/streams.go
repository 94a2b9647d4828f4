package huffman

import "encoding/binary"

// streams is how many parts the bytes are cut into.
const streams = 4

// jumps is the size of the table of the first three streams' lengths.
const jumps = 2 * (streams - 1)

// MostBytes is the most that is coded at once: a quarter of it, in the longest codes, has a length of 16 bits. LeastBytes
// is the least: no stream is empty.
const (
	MostBytes  = 128 << 10
	LeastBytes = 12
)

// slack is what is written beyond the end of a stream before the next one begins there.
const slack = 8

// Room is what [Code.AppendStreams] needs for n bytes, at most.
func Room(n int) int { return jumps + n*MaxBits/8 + streams + slack + 1 }

// AppendStreams appends the bits of [LeastBytes] to [MostBytes] bytes: the lengths of three streams, and four streams, each of a
// quarter of them. A byte that has no code takes no bits, and what is written means something else. Should src
// change meanwhile, so does what is written, and nothing else.
func (c *Code) AppendStreams(dst, src []byte) []byte {
	begin := len(dst)
	if room := begin + Room(len(src)); cap(dst) < room {
		dst = append(make([]byte, 0, room+room/4), dst...)
	}
	dst = dst[:begin+jumps]
	quarter := (len(src) + streams - 1) / streams
	for s := range streams {
		part := src[s*quarter : min((s+1)*quarter, len(src))]
		n := c.stream(dst[len(dst):cap(dst)], part)
		if s < streams-1 {
			binary.LittleEndian.PutUint16(dst[begin+2*s:], uint16(n))
		}
		dst = dst[:len(dst)+n]
	}
	return dst
}

// state is a stream under way.
type state struct {
	bits uint64 // not yet written
	n    uint64 // of them; fewer than 8 between calls
	at   uint64 // bytes written
}

// stream writes the codes of src, the last first, each with its own last bit first, and a bit behind them. dst has
// room for all of them, and eight bytes beyond.
func (c *Code) stream(dst, src []byte) (n int) {
	_ = dst[len(src)*MaxBits/8+slack]
	var s state
	whole := blocks(len(src))
	c.write(&s, dst, src[whole:])
	if whole > 0 {
		writeBlocks(&s, &dst[0], &src[0], whole, &c.tables)
	}
	s.put(dst, 1, 1)
	n = int(s.at)
	if s.n > 0 {
		n++
	}
	return n
}

// write is the reference: it appends the codes of src.
func (c *Code) write(s *state, dst, src []byte) {
	for len(src) >= 4 {
		p := src[len(src)-4:]
		src = src[:len(src)-4]
		d, e, f, g := c.words[p[3]], c.words[p[2]], c.words[p[1]], c.words[p[0]]
		code := uint64(d >> 8)
		length := d & 0xff
		code |= uint64(e>>8) << (length & 63)
		length += e & 0xff
		code |= uint64(f>>8) << (length & 63)
		length += f & 0xff
		code |= uint64(g>>8) << (length & 63)
		length += g & 0xff
		s.put(dst, code, uint64(length))
	}
	for i := len(src) - 1; i >= 0; i-- {
		w := c.words[src[i]]
		s.put(dst, uint64(w>>8), uint64(w&0xff))
	}
}

// put appends up to 56 bits.
func (s *state) put(dst []byte, code, length uint64) {
	s.bits |= code << (s.n & 63)
	s.n += length
	binary.LittleEndian.PutUint64(dst[s.at:], s.bits)
	s.at += s.n >> 3
	s.bits >>= s.n &^ 7 & 63
	s.n &= 7
}
