package planes

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/huff0"

	"weld/format"
	"weld/internal/vec"
)

// Decoder restores blocks. Its memory serves one after the other; it is not for concurrent use. The
// zero Decoder is ready.
type Decoder struct {
	planes, pairs, mask, others []byte
	sparseMask, sparseOthers    []byte // of elements that are not 0
	changedMask, values         []byte // of what differs from a base
	huff                        *huff0.Scratch
	flate                       io.ReadCloser
}

// errDamaged is wrapped by all errors of this package.
var errDamaged = errors.New("damaged block")

func damaged(detail string, args ...any) error {
	return fmt.Errorf("%w: %s", errDamaged, fmt.Sprintf(detail, args...))
}

// Decode restores a block that was coded without a base. It fills dst, whose length is
// that of the content.
func (d *Decoder) Decode(dst []byte, c Coding, t format.DType, payload []byte) error {
	p := payloadReader{rest: payload}
	if err := d.block(dst, c, t, &p); err != nil {
		return err
	}
	return p.ended()
}

// DecodeRelative restores a block that was coded by a base of the same length, or without one.
func (d *Decoder) DecodeRelative(dst []byte, c Coding, t format.DType, payload, base []byte) error {
	if !c.Relative() {
		return d.Decode(dst, c, t, payload)
	}
	if len(base) != len(dst) {
		return damaged("a base of %d bytes for a block of %d", len(base), len(dst))
	}
	p := payloadReader{rest: payload}
	if err := d.relative(dst, c, t, &p, base); err != nil {
		return err
	}
	return p.ended()
}

// payloadReader takes a payload apart.
type payloadReader struct{ rest []byte }

func (p *payloadReader) take(n int) ([]byte, error) {
	if n < 0 || n > len(p.rest) {
		return nil, damaged("it ends %d bytes too early", n-len(p.rest))
	}
	taken := p.rest[:n]
	p.rest = p.rest[n:]
	return taken, nil
}

func (p *payloadReader) byte() (byte, error) {
	b, err := p.take(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

// length reads a number that must not exceed a limit.
func (p *payloadReader) length(limit int) (int, error) {
	b, err := p.take(4)
	if err != nil {
		return 0, err
	}
	if n := binary.LittleEndian.Uint32(b); int64(n) <= int64(limit) {
		return int(n), nil
	}
	return 0, damaged("a number of %d where at most %d are possible", binary.LittleEndian.Uint32(b), limit)
}

func (p *payloadReader) ended() error {
	if len(p.rest) > 0 {
		return damaged("%d bytes follow its end", len(p.rest))
	}
	return nil
}

// block restores a block; what it does not use stays in p.
func (d *Decoder) block(dst []byte, c Coding, t format.DType, p *payloadReader) error {
	s := shapeOf(t)
	if len(dst)%s.width != 0 {
		s = shape{width: 1}
	}
	switch c {
	case Stored:
		src, err := p.take(len(dst))
		copy(dst, src)
		return err
	case Constant:
		v, err := p.take(s.width)
		if err != nil {
			return err
		}
		repeat(dst, v)
		return nil
	case Deflated:
		return d.inflate(dst, p)
	case Split:
		return d.split(dst, s, p)
	case Sparse:
		return d.sparse(dst, s, p)
	}
	return damaged("%v is unknown", c)
}

// repeat fills dst with one element.
func repeat(dst, v []byte) {
	n := copy(dst, v)
	for n > 0 && n < len(dst) {
		n += copy(dst[n:], dst[:n])
	}
}

// inflate restores what was deflated: all that is left of the payload.
func (d *Decoder) inflate(dst []byte, p *payloadReader) error {
	in := bytes.NewReader(p.rest)
	if d.flate == nil {
		d.flate = flate.NewReader(in)
	} else if err := d.flate.(flate.Resetter).Reset(in, nil); err != nil {
		return err
	}
	if _, err := io.ReadFull(d.flate, dst); err != nil {
		return damaged("deflate: %v", err)
	}
	var one [1]byte
	if n, err := d.flate.Read(one[:]); n != 0 || err != io.EOF {
		return damaged("deflate: more than %d bytes", len(dst))
	}
	p.rest = p.rest[len(p.rest)-in.Len():]
	return nil
}

func (d *Decoder) split(dst []byte, s shape, p *payloadReader) error {
	planes := s.room(&d.planes, len(dst)/s.width)
	for _, plane := range planes {
		if err := d.plane(plane, p, true); err != nil {
			return err
		}
	}
	s.join(dst, planes)
	return nil
}

// plane restores a plane; inside another coding it is one of the simple ones.
func (d *Decoder) plane(dst []byte, p *payloadReader, outer bool) error {
	coding, err := p.byte()
	if err != nil {
		return err
	}
	n, err := p.length(len(p.rest))
	if err != nil {
		return err
	}
	body, err := p.take(n)
	if err != nil {
		return err
	}
	in := payloadReader{rest: body}
	switch {
	case coding == planeStored:
		body, err = in.take(len(dst))
		copy(dst, body)
	case coding == planeConstant:
		var v byte
		if v, err = in.byte(); err == nil {
			repeat(dst, []byte{v})
		}
	case coding == planeHuffman:
		err = d.huffman(dst, &in)
	case coding == planeDeflated:
		err = d.inflate(dst, &in)
	case coding == planePaired && outer:
		err = d.paired(dst, &in)
	case coding == planeMostly && outer:
		err = d.mostly(dst, &in)
	default:
		err = damaged("a plane of coding %d", coding)
	}
	if err != nil {
		return err
	}
	return in.ended()
}

func (d *Decoder) huffman(dst []byte, p *payloadReader) error {
	for len(dst) > 0 {
		n := min(len(dst), chunk)
		b, err := p.take(4)
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
			var rest []byte
			if d.huff, rest, err = huff0.ReadTable(body, d.huff); err != nil {
				d.huff = nil
				return damaged("huffman table: %v", err)
			}
			out, err := d.huff.Decoder().Decompress4X(dst[:0:n], rest)
			if err != nil || len(out) != n {
				return damaged("huffman code: %v", err)
			}
		default:
			return damaged("a chunk of kind %d with %d bytes for %d", kind, len(body), n)
		}
		dst = dst[n:]
	}
	return nil
}

func (d *Decoder) paired(dst []byte, p *payloadReader) error {
	k, err := p.byte()
	if err != nil {
		return err
	}
	if k > vec.Escape {
		return damaged("%d codes", k)
	}
	known, err := p.take(int(k))
	if err != nil {
		return err
	}
	var values [16]byte
	copy(values[:], known)
	n, err := p.length(len(dst))
	if err != nil {
		return err
	}
	escapes, err := p.take(n)
	if err != nil {
		return err
	}
	pairs := grown(&d.pairs, vec.Paired(len(dst)))
	if err := d.plane(pairs, p, false); err != nil {
		return err
	}
	vec.UnpairCodes(dst, pairs, &values)
	for i := range escaped(pairs, len(dst)) {
		if len(escapes) == 0 {
			return damaged("it has too few escaped values")
		}
		dst[i], escapes = escapes[0], escapes[1:]
	}
	if len(escapes) > 0 {
		return damaged("%d escaped values too many", len(escapes))
	}
	return nil
}

func (d *Decoder) mostly(dst []byte, p *payloadReader) error {
	value, err := p.byte()
	if err != nil {
		return err
	}
	mask := grown(&d.mask, (len(dst)+7)/8)
	if err := d.plane(mask, p, false); err != nil {
		return err
	}
	n, err := ones(mask, len(dst))
	if err != nil {
		return err
	}
	others := grown(&d.others, n)
	if err := d.plane(others, p, false); err != nil {
		return err
	}
	repeat(dst, []byte{value})
	for i := range ofMask(mask) {
		dst[i], others = others[0], others[1:]
	}
	return nil
}

// ones counts the bits of a mask of n, of which the rest are 0.
func ones(mask []byte, n int) (count int, err error) {
	for _, b := range mask {
		count += bits.OnesCount8(b)
	}
	if n&7 != 0 && mask[n>>3]>>(n&7) != 0 {
		return 0, damaged("its mask is longer than the block")
	}
	return count, nil
}

// ofMask yields the places of the bits that are set.
func ofMask(mask []byte) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for at, b := range mask {
			for ; b != 0; b &= b - 1 {
				if !yield(at*8 + bits.TrailingZeros8(b)) {
					return
				}
			}
		}
	}
}

// masked reads a count and a mask of so many bits, into memory that serves again.
func (d *Decoder) masked(room *[]byte, n int, p *payloadReader) (mask []byte, count int, err error) {
	m, err := p.length(n)
	if err != nil {
		return nil, 0, err
	}
	mask = grown(room, (n+7)/8)
	if err := d.plane(mask, p, false); err != nil {
		return nil, 0, err
	}
	if count, err = ones(mask, n); err == nil && count != m {
		err = damaged("a mask of %d elements, not %d", count, m)
	}
	return mask, count, err
}

func (d *Decoder) sparse(dst []byte, s shape, p *payloadReader) error {
	mask, m, err := d.masked(&d.sparseMask, len(dst)/s.width, p)
	if err != nil {
		return err
	}
	others := grown(&d.sparseOthers, m*s.width)
	if err := d.split(others, s, p); err != nil {
		return err
	}
	clear(dst)
	place(dst, others, mask, s.width)
	return nil
}

// place puts elements where the mask says.
func place(dst, others, mask []byte, w int) {
	if w == 2 { // as most have
		for i := range ofMask(mask) {
			copy(dst[2*i:2*i+2], others)
			others = others[2:]
		}
		return
	}
	for i := range ofMask(mask) {
		copy(dst[i*w:], others[:w])
		others = others[w:]
	}
}

func (d *Decoder) relative(dst []byte, c Coding, t format.DType, p *payloadReader, base []byte) error {
	w := shapeOf(t).width
	if len(dst)%w != 0 {
		w = 1
	}
	switch c {
	case Unchanged:
		copy(dst, base)
		return nil
	case Difference, Xor:
		values := grown(&d.values, len(dst))
		if err := d.nested(values, unsigned[w], p); err != nil {
			return err
		}
		restore(dst, values, base, w, c)
		return nil
	case Replaced:
		mask, m, err := d.masked(&d.changedMask, len(dst)/w, p)
		if err != nil {
			return err
		}
		others := grown(&d.values, m*w)
		if err := d.nested(others, t, p); err != nil {
			return err
		}
		copy(dst, base)
		place(dst, others, mask, w)
		return nil
	}
	return damaged("%v is unknown", c)
}

// nested restores a block inside another.
func (d *Decoder) nested(dst []byte, t format.DType, p *payloadReader) error {
	c, err := p.byte()
	if err != nil {
		return err
	}
	return d.block(dst, Coding(c), t, p)
}
