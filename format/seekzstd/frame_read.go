package seekzstd

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"weld/internal/huffman"
)

// plainReader reads frames of literals, two blocks at a time. It is not for concurrent use; the zero plainReader is
// ready.
type plainReader struct {
	tables  [2]huffman.Table
	current *huffman.Table // of the block before; nil if there is none in the frame
	waiting huffman.Part   // a block that waits for another; Coded is nil if there is none
	spare   []byte
}

// read fills content with that of a frame. It reports false where there is anything in it but literals, or
// anything wrong: another reader finds out what.
func (p *plainReader) read(content, frame []byte) bool {
	blocks, ok := plainHead(frame, len(content))
	if !ok {
		return false
	}
	p.current, p.waiting = nil, huffman.Part{}
	into := content
	for last := false; !last; {
		if len(blocks) < blockHead {
			return false
		}
		head := uint32(blocks[0]) | uint32(blocks[1])<<8 | uint32(blocks[2])<<16
		last = head&1 != 0
		kind, size := head>>1&3, int(head>>3)
		blocks = blocks[blockHead:]
		n := 0
		switch {
		case size > len(blocks) || size > maxBlock:
			return false
		case kind == blockRaw:
			if n = size; n > len(into) {
				return false
			}
			copy(into, blocks[:size])
		case kind == blockCompressed:
			if n, ok = p.block(into, blocks[:size]); !ok {
				return false
			}
		default:
			return false
		}
		blocks, into = blocks[size:], into[n:]
	}
	return len(into) == 0 && len(blocks) == 4 && p.rest() && binary.LittleEndian.Uint32(blocks) == uint32(xxhash.Sum64(content))
}

// plainHead reads the header of a frame with a checksum and without a dictionary (RFC 8878, section 3.1.1.1).
func plainHead(frame []byte, content int) (blocks []byte, ok bool) {
	if len(frame) < frameHead || binary.LittleEndian.Uint32(frame) != frameMagic {
		return nil, false
	}
	const single, reserved, checksum, dictionary = 1 << 5, 1 << 3, 1 << 2, 3
	flags := frame[4]
	if flags&(reserved|checksum|dictionary) != checksum {
		return nil, false
	}
	at := 5
	if flags&single == 0 {
		at++ // the window
	}
	var field [8]byte
	width := 1 << (flags >> 6)
	if width == 1 && flags&single == 0 {
		return nil, false // no size
	}
	if len(frame) < at+width {
		return nil, false
	}
	copy(field[:], frame[at:at+width])
	size := binary.LittleEndian.Uint64(field[:])
	if width == 2 {
		size += 256
	}
	return frame[at+width:], size == uint64(content)
}

// block takes a compressed block up: a head of three to five bytes, literals in four streams, and no sequences (section 3.1.1.3). It returns how
// many bytes it fills, at once or when another one is there.
func (p *plainReader) block(into, block []byte) (n int, ok bool) {
	if len(block) < literalsHead {
		return 0, false
	}
	kind, form := block[0]&3, block[0]>>2&3
	if form == 0 || kind != literalsCode && kind != literalsTreeless {
		return 0, false
	}
	width, bytes := 4*int(form)+6, int(form)+2
	var field [8]byte
	copy(field[:bytes], block)
	sizes := int(binary.LittleEndian.Uint64(field[:]) >> 4)
	n, size := sizes&(1<<width-1), sizes>>width
	if n > len(into) || len(block) != bytes+size+1 || block[len(block)-1] != 0 {
		return 0, false
	}
	coded := block[bytes : bytes+size]
	if kind == literalsCode {
		table := &p.tables[0]
		if p.waiting.Table == table {
			table = &p.tables[1]
		}
		var err error
		if coded, err = table.Read(coded); err != nil {
			return 0, false
		}
		p.current = table
	}
	if p.current == nil {
		return 0, false
	}
	part := huffman.Part{Table: p.current, Coded: coded, Content: into[:n:n]}
	if p.waiting.Coded == nil {
		p.waiting = part
		return n, true
	}
	err := huffman.Read(&p.waiting, &part)
	p.waiting = huffman.Part{}
	return n, err == nil
}

// rest reads the block that waits for none.
func (p *plainReader) rest() bool {
	if p.waiting.Coded == nil {
		return true
	}
	if n := len(p.waiting.Content); cap(p.spare) < n {
		p.spare = make([]byte, n)
	}
	again := p.waiting
	again.Content = p.spare[:len(p.waiting.Content)]
	return huffman.Read(&p.waiting, &again) == nil
}
