package planes

import (
	"math/bits"

	"weld/format"
)

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
func (d *Decoder) masked(buffer *[]byte, n int, p *payloadReader) (mask []byte, count int, err error) {
	m, err := p.length(n)
	if err != nil {
		return nil, 0, err
	}
	mask = grown(buffer, (n+7)/8)
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
	switch w { // as most have
	case 1:
		for i := range ofMask(mask) {
			dst[i], others = others[0], others[1:]
		}
		return
	case 2:
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
