package seekzstd

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"weld/internal/huffman"
)

// Weights have next to nothing that comes twice, and what there is to be saved is in how often each byte is there. A frame is
// therefore written here, without a search, as blocks of literals and no sequences (RFC 8878, section 3.1.1), if a look at it says
// that a search would find nothing. All others are left to the encoder of klauspost/compress.

// Figures of frames and blocks.
const (
	frameMagic    = 0xFD2FB528
	singleSegment = 2<<6 | 1<<5 | 1<<2 // descriptor: four bytes of content size, no window, a checksum
	frameHead     = 4 + 1 + 4
	blockHead     = 3
	maxBlock      = 128 << 10

	blockRaw        = 0
	blockRepeated   = 1
	blockCompressed = 2

	literalsHead     = 5 // with two sizes of 18 bits
	literalsCode     = 2
	literalsTreeless = 3 // of the code before
	fourStreams      = 3 // sizes of 18 bits, and four streams
)

// plainFrame writes frames of literals. It is not for concurrent use; the zero plainFrame is ready.
type plainFrame struct {
	code   huffman.Code
	coded  bool             // there is one
	whole  bool             // it has all bytes of the frame
	told   bool             // to the reader
	counts huffman.Counts   // of a sample of the frame
	blocks []huffman.Counts // of a sample of each block
	part   []byte           // of a sample

	words         [wordSlots]uint64 // that were seen
	chosen, again int               // of all words; of those, what was seen before
}

// append appends the frame of content. It reports false, with dst as it was, where a search may find something.
func (f *plainFrame) append(dst, content []byte) ([]byte, bool) {
	if !f.plain(content) {
		return dst, false
	}
	f.prepare(content)
	le := binary.LittleEndian
	dst = le.AppendUint32(dst, frameMagic)
	dst = le.AppendUint32(append(dst, singleSegment), uint32(len(content)))
	f.told = false
	rest := content
	for i := range f.blocks {
		n := min(len(rest), maxBlock)
		dst = f.appendBlock(dst, rest[:n], &f.blocks[i], n == len(rest))
		rest = rest[n:]
	}
	return le.AppendUint32(dst, uint32(xxhash.Sum64(content))), true
}

// prepare builds a code for all of the content from a sample. A code for what the sample has not would take room from all others: if that is more
// than a few bytes, all of the content is counted.
func (f *plainFrame) prepare(content []byte) {
	unseen := 0
	for b, n := range f.counts {
		if n == 0 {
			unseen++
			f.counts[b] = 1
		}
	}
	if unseen > fewUnseen {
		f.counts = huffman.Counts{}
		f.counts.Add(content)
	}
	f.coded, f.whole = f.code.Build(&f.counts), true
}

// fewUnseen is how many bytes may get codes that they do not need: each takes a 2048th of the room at most.
const fewUnseen = 8

// appendBlock appends a block, with a code of its own if that of the frame does not suit it. counts are of a sample.
func (f *plainFrame) appendBlock(dst, content []byte, counts *huffman.Counts, last bool) []byte {
	if !f.suits(counts) {
		*counts = huffman.Counts{}
		counts.Add(content)
		f.coded, f.whole, f.told = f.code.Build(counts), false, false
	}
	if !f.coded || len(content) < huffman.LeastBytes || float64(f.code.Bits(counts)) > compressible*8*float64(counts.Total()) {
		return appendRaw(dst, content, last)
	}
	begin := len(dst)
	dst = append(dst, make([]byte, blockHead+literalsHead)...)
	kind := uint64(literalsTreeless)
	if !f.told {
		kind = literalsCode
		dst = append(dst, f.code.Description()...)
	}
	dst = f.code.AppendStreams(dst, content)
	size := len(dst) - begin - blockHead - literalsHead
	dst = append(dst, 0) // no sequences
	if len(dst)-begin-blockHead >= len(content) {
		return appendRaw(dst[:begin], content, last)
	}
	f.told = true
	putBlockHead(dst[begin:], last, blockCompressed, len(dst)-begin-blockHead)
	head := kind | fourStreams<<2 | uint64(len(content))<<4 | uint64(size)<<22
	for i := range literalsHead {
		dst[begin+blockHead+i] = byte(head >> (8 * i))
	}
	return dst
}

// What a block may take beyond its entropy before it gets a code of its own, and the share of its bytes from which on it is stored.
const (
	tolerance     = 1.005
	toleratedBits = 600 // by which the entropy of a sample is too low, and a code above it
	compressible  = 0.99
)

// suits reports whether the code does for a block, and about as well as one of its own would. That of another block may lack a byte, which
// a sample may lack, too.
func (f *plainFrame) suits(counts *huffman.Counts) bool {
	return f.coded && f.whole && float64(f.code.Bits(counts)) <= counts.Entropy()*tolerance+toleratedBits
}

func appendRaw(dst, content []byte, last bool) []byte {
	begin := len(dst)
	dst = append(dst, make([]byte, blockHead)...)
	putBlockHead(dst[begin:], last, blockRaw, len(content))
	return append(dst, content...)
}

func putBlockHead(dst []byte, last bool, kind, size int) {
	head := uint32(kind)<<1 | uint32(size)<<3
	if last {
		head |= 1
	}
	dst[0], dst[1], dst[2] = byte(head), byte(head>>8), byte(head>>16)
}
