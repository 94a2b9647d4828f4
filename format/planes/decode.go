package planes

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/flate"

	"weld/format"
)

// Decoder restores blocks. Its memory serves one after the other; it is not for concurrent use. The
// zero Decoder is ready.
type Decoder struct {
	planes, pairs, mask, others []byte
	sparseMask, sparseOthers    []byte // of elements that are not 0
	changedMask, values         []byte // of what differs from a base
	chunks                      chunks
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
	planes := s.buffer(&d.planes, len(dst)/s.width)
	for _, plane := range planes {
		if err := d.plane(plane, p, true); err != nil {
			return err
		}
	}
	s.join(dst, planes)
	return nil
}
