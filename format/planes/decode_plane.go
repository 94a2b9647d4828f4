package planes

import (
	"weld/internal/vec"
)

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
