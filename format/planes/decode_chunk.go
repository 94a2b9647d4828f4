package planes

import (
	"encoding/binary"

	"github.com/klauspost/compress/huff0"

	"weld/internal/huffman"
)

// chunks reads Huffman chunks: two at a time, where the machine gains by it.
type chunks struct {
	tables  [2]huffman.Table
	waiting huffman.Part // that waits for another; Coded is nil if there is none
	huff    *huff0.Scratch
}

// huffman restores a plane of chunks.
func (d *Decoder) huffman(dst []byte, p *payloadReader) error {
	c := &d.chunks
	c.waiting = huffman.Part{}
	for len(dst) > 0 {
		n := min(len(dst), chunk)
		b, err := p.take(chunkHead)
		if err != nil {
			return err
		}
		head := binary.LittleEndian.Uint32(b)
		body, err := p.take(int(head >> 2))
		if err != nil {
			return err
		}
		switch kind := head & 3; {
		case kind == chunkStored && len(body) == n:
			copy(dst, body)
		case kind == chunkConstant && len(body) == 1:
			repeat(dst[:n], body)
		case kind == chunkHuffman:
			if err := c.read(dst[:n:n], body); err != nil {
				return damaged("huffman code: %v", err)
			}
		default:
			return damaged("a chunk of kind %d with %d bytes for %d", kind, len(body), n)
		}
		dst = dst[n:]
	}
	if err := c.rest(); err != nil {
		return damaged("huffman code: %v", err)
	}
	return nil
}

// read restores a chunk, or leaves it until the next one is there.
func (c *chunks) read(dst, body []byte) error {
	if !huffman.Kernels() {
		return c.slow(dst, body)
	}
	table := &c.tables[0]
	if c.waiting.Table == table {
		table = &c.tables[1]
	}
	coded, err := table.Read(body)
	if err != nil {
		return err
	}
	part := huffman.Part{Table: table, Coded: coded, Content: dst}
	if c.waiting.Coded == nil {
		c.waiting = part
		return nil
	}
	err = huffman.Read(&c.waiting, &part)
	c.waiting = huffman.Part{}
	return err
}

// rest restores the chunk that waits for none.
func (c *chunks) rest() error {
	part := c.waiting
	c.waiting = huffman.Part{}
	if part.Coded == nil {
		return nil
	}
	return huffman.ReadOne(&part)
}

// slow is read by the program of others.
func (c *chunks) slow(dst, body []byte) error {
	var rest []byte
	var err error
	if c.huff, rest, err = huff0.ReadTable(body, c.huff); err != nil {
		c.huff = nil
		return err
	}
	out, err := c.huff.Decoder().Decompress4X(dst[:0], rest)
	if err == nil && len(out) != len(dst) {
		err = damaged("%d bytes of %d", len(out), len(dst))
	}
	return err
}
