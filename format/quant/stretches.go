package quant

import (
	"encoding/binary"

	"weld/format"
)

// stretchDecoder restores values whose codes are packed by stretches: the tensor in C order is cut into as many stretches as
// an item has codes, and an item has those of one place in all of them. HQQ and quanto store weights so. Scales and zero points are
// of the rows, or of the columns, of a matrix of some width that the tensor in C order is seen as.
type stretchDecoder struct {
	codes    int   // the tensor
	size     int64 // bytes of an item
	bits     int64
	stretch  int64 // elements; the last stretch may be cut
	topDown  bool  // the first stretch is in the upper bits
	width    int64 // of the matrix
	columns  bool  // scales are of its columns
	scale    companion
	zero     companion
	restored func(code, scale, zero float32) float32
}

// companion is a tensor of scales or zero points.
type companion struct {
	tensor int
	dtype  format.DType
}

// load decodes elements from one on.
func (c companion) load(from codeLender, at int64, dst []float32) error {
	size := int64(c.dtype.Bits() / 8)
	return from.with(c.tensor, at*size, int64(len(dst))*size, func(data []byte) error {
		if isInteger(c.dtype) {
			decodeIntegers(c.dtype, dst, data)
			return nil
		}
		decodeScales(c.dtype, dst, data)
		return nil
	})
}

// stored implements [decoder]: all, since a range lies in one stretch or in several.
func (d *stretchDecoder) stored(lo, hi int64) (off, n int64) {
	if first := lo / d.stretch; lo < hi && first == (hi-1)/d.stretch {
		return (lo - first*d.stretch) * d.size, (hi - lo) * d.size
	}
	return 0, d.stretch * d.size
}

// visited implements [revisiting]: what a range has in the first stretch, or in the last that is not cut.
func (d *stretchDecoder) visited(done bool, lo, hi int64) (off, n int64) {
	begin := int64(0)
	if done {
		begin = (8*d.size/d.bits - 1) * d.stretch
	}
	lo, hi = min(max(lo-begin, 0), d.stretch), min(max(hi-begin, 0), d.stretch)
	return lo * d.size, (hi - lo) * d.size
}

// decode implements [pieced].
func (d *stretchDecoder) decode(from codeLender, dst []float32, lo int64) error {
	if err := d.unpack(from, dst, lo); err != nil {
		return err
	}
	for len(dst) > 0 {
		n := min(int64(len(dst)), pieceElements/2)
		first, end := lo/d.width, (lo+n-1)/d.width+1
		if d.columns {
			first, end = lo%d.width, min(lo%d.width+n, d.width)
			n = end - first
		}
		both := from.floats(2 * (end - first))
		scales, zeros := both[:end-first], both[end-first:]
		if err := d.scale.load(from, first, scales); err != nil {
			return err
		}
		if err := d.zero.load(from, first, zeros); err != nil {
			return err
		}
		for i, code := range dst[:n] {
			k := int64(i)
			if !d.columns {
				k = (lo+k)/d.width - first
			}
			dst[i] = d.restored(code, scales[k], zeros[k])
		}
		dst, lo = dst[n:], lo+n
	}
	return nil
}

// unpack decodes codes.
func (d *stretchDecoder) unpack(from codeLender, dst []float32, lo int64) error {
	for len(dst) > 0 {
		k, at := lo/d.stretch, lo%d.stretch
		n := min(int64(len(dst)), d.stretch-at)
		shift := k * d.bits
		if d.topDown {
			shift = (8*d.size/d.bits - 1 - k) * d.bits
		}
		if err := from.with(d.codes, at*d.size, n*d.size, func(data []byte) error {
			for i := range n {
				item := uint32(data[i*d.size])
				if d.size == 4 {
					item = binary.LittleEndian.Uint32(data[i*4:])
				}
				dst[i] = float32(item >> shift & (1<<d.bits - 1))
			}
			return nil
		}); err != nil {
			return err
		}
		dst, lo = dst[n:], lo+n
	}
	return nil
}
