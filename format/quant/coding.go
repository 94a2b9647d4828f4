package quant

import (
	"fmt"
	"math"
	"slices"

	"weld/format"
	"weld/internal/vec"
)

// coding is how values become codes and scales: by the shape of their tensor, the blocks that scales are of, and types. It knows no names, and
// nothing of files. Values come a stripe at a time: some rows of one matrix, in which blocks lie whole, unless their scales were measured. A stripe is
// cut into bands, each of which is a row of blocks.
type coding struct {
	blockGrid           // the values
	block     blockGrid // that one scale is of, in one matrix; those at the edges are cut
	scaleType format.DType
	codes     codeWriter
	level     *scaleLevel   // nil where scales have no scale
	zeros     *zeroCoding   // nil where values are codes × scale
	turned    *turnedCoding // nil where codes lie as values do; else codes is nil
	asStored  bool          // values come in the order of codes, which is not the one that they are shown in: [Decoded.AsStored]
	inBlocks  *blocks       // nil where scales lie beside codes; else nothing else is there but the shapes
	ofZeros   []byte        // the scale of a block of nothing but zeros, whatever it is read as; nil for 1
}

// codeWriter writes one kind of codes, in rows that begin on a byte each.
type codeWriter interface {
	// stored are the bytes of the codes that elements [lo, hi) have a part in.
	stored(lo, hi int64) (off, n int64)
	// scale stores the scale of a block by its largest magnitude, and returns what it is read as.
	scale(d format.DType, dst []byte, largest float32) float32
	// value is what the code of a value is read as; both are divided by their scale.
	value(x float32) float32
	// encode stores values in a row of codes, from a column on. The values are divided by their scale. It is false if one of them is not
	// finite, and there is no code for it.
	encode(row []byte, col int64, values []float32) bool
}

// groupWriter is a [codeWriter] that stores a row of several blocks at once.
type groupWriter interface {
	// encodeGroups stores values in a row of codes, from a column on: each divided by the scale of its group, which is positive, and with its zero
	// point added. zeros is nil for none. It is false, whatever was stored, where no kernel does it, or there may be a value without a code.
	encodeGroups(row []byte, col int64, values, zeros, scales []float32, group int) bool
}

// sameCodes reports whether two writers of codes for one weight write the same.
func sameCodes(a, b codeWriter) bool {
	x, table := a.(*tableWriter)
	y, other := b.(*tableWriter)
	if !table || !other {
		return a == b
	}
	return x.table == y.table && x.cols == y.cols && x.stride == y.stride && x.bit(x.cols) == y.bit(y.cols)
}

// stripe is the values of some rows, and what they become.
type stripe struct {
	values               []float32
	codes, scales, zeros []byte
	codesAt              int64 // in the tensor of codes
	scalesAt, zerosAt    int64 // in the tensors of scales and zero points
	kept                 []bool
	blocks               blockFigures
	row                  []float32 // memory for one row
	sorted               []float32 // another, where columns have an order
	old                  []float32 // values of the reference
	same                 []bool    // blocks that have its values
	turned               []float32 // the values column by column, where codes lie so
}

// given is what is known of a tensor whose stripes are encoded.
type given struct {
	reference *lentReference // nil for none
	measured  *measured      // settled; nil for none
	order     []int32        // its columns by their groups; nil where groups are runs of columns
}

// fits reports whether blocks fit into a stripe.
func (c *coding) fits() bool {
	return c.block.slices <= 1 && min(c.block.rows, c.rows)*c.cols*width <= mostStripe
}

// together is how many rows have to lie in one stripe.
func (c *coding) together() int64 {
	switch {
	case !c.fits():
		return 1
	case c.zeros != nil:
		return c.block.rows * c.zeros.unit()
	}
	return c.block.rows
}

// stripeRows are the rows of a stripe; the last one of a matrix may be cut. Blocks of few rows make a stripe together.
func (c *coding) stripeRows() int64 {
	elements := int64(pieceElements) / 2
	if c.turned != nil {
		elements = turnedElements
	}
	return c.together() * max(1, elements/max(1, c.together()*c.cols))
}

// encodable reports whether a stripe can be held, and what is measured.
func (c *coding) encodable() bool {
	g := c.scaleGrid()
	return min(c.together(), c.rows)*c.cols*width <= mostStripe && (c.fits() || g.slices*g.rows*g.cols <= mostRanges)
}

// scaleGrid are the scales.
func (c *coding) scaleGrid() blockGrid {
	ceil := func(n, by int64) int64 { return (n + max(1, by) - 1) / max(1, by) }
	return blockGrid{ceil(c.slices, c.block.slices), ceil(c.rows, c.block.rows), ceil(c.cols, c.block.cols)}
}

// blocks are the tensor and its blocks, no larger than that, as they are told apart from others: how rows are [joined] says nothing.
func (c *coding) blocks() (of, block blockGrid) {
	of, block = c.blockGrid, blockGrid{min(c.block.slices, c.slices), min(c.block.rows, c.rows), min(c.block.cols, c.cols)}
	if _, float := c.codes.(floatWriter); float {
		of, _, block = joined(of, c.scaleGrid(), block)
	}
	return of, block
}

// scaleBytes are the bytes of the scales of a band.
func (c *coding) scaleBytes() int64 { return c.scaleGrid().cols * int64(c.scaleType.Bits()/8) }

// encode fills in the codes and the scales of a stripe, which begins at a row of a matrix. A block whose values are those of the
// reference, if there is one, keeps its bytes.
func (c *coding) encode(s *stripe, slice, top int64, g given) error {
	rows, first := int64(len(s.values))/c.cols, (slice*c.rows+top)*c.cols
	c.lay(s, slice, top)
	if g.order != nil {
		s.sorted = slices.Grow(s.sorted[:0], int(c.cols))[:c.cols]
	}
	if len(s.zeros) > 0 && g.reference != nil {
		if err := g.reference.copyScales(0, nil, s.zerosAt, s.zeros); err != nil {
			return err
		}
	}
	same, err := g.reference.sameBlocks(c, s, first, g.measured)
	if err != nil {
		return err
	}
	var old []float32
	if same == nil {
		if old, err = g.reference.whole(c, s, first); err != nil {
			return err
		}
	}
	for at, k := top, int64(0); at < top+rows; k++ {
		end := min((at/c.block.rows+1)*c.block.rows, top+rows)
		begin := first + (at-top)*c.cols
		off, n := c.stored(begin, begin+(end-at)*c.cols)
		b := band{
			coding: c, given: &g, slice: slice, top: at, begin: begin, codesAt: off,
			values: s.values[begin-first:][:(end-at)*c.cols], codes: s.codes[off-s.codesAt:][:n], zeros: s.zeros, zeroRow: k, kept: s.kept, blocks: s.blocks, room: s.row[:c.cols], sorted: s.sorted,
		}
		if same != nil {
			b.same = same[k*int64(len(s.kept)):][:len(s.kept)]
		}
		if old != nil {
			b.old = old[begin-first:][:(end-at)*c.cols]
		}
		if c.fits() {
			b.scalesAt, b.scales = s.scalesAt+k*c.scaleBytes(), s.scales[k*c.scaleBytes():][:c.scaleBytes()]
		}
		if err := b.encode(); err != nil {
			return err
		}
		at = end
	}
	return nil
}

// lay finds memory for what a stripe becomes, and where that goes. Scales that were measured are written beside it.
func (c *coding) lay(s *stripe, slice, top int64) {
	rows, first := int64(len(s.values))/c.cols, (slice*c.rows+top)*c.cols
	grid := c.scaleGrid()
	at, n := c.stored(first, first+int64(len(s.values)))
	s.codesAt, s.codes = at, slices.Grow(s.codes[:0], int(n))[:n]
	clear(s.codes) // rows of packed codes may end before their last byte
	s.kept = slices.Grow(s.kept[:0], int(grid.cols))[:grid.cols]
	s.blocks.grow(int(grid.cols))
	s.scales, s.zeros = s.scales[:0], s.zeros[:0]
	if !c.fits() {
		return
	}
	begin, end := slice*grid.rows+top/c.block.rows, slice*grid.rows+(top+rows-1)/c.block.rows+1
	s.scalesAt, n = begin*c.scaleBytes(), (end-begin)*c.scaleBytes()
	s.scales = slices.Grow(s.scales, int(n))[:n]
	if c.zeros != nil {
		s.zerosAt, n = c.zeros.stored(begin, end, grid.cols)
		s.zeros = slices.Grow(s.zeros, int(n))[:n]
		clear(s.zeros)
	}
}

// stored are the bytes of the codes of elements.
func (c *coding) stored(lo, hi int64) (off, n int64) { return c.codes.stored(lo, hi) }

// factorsOf stores the scale of a block by its extremes.
func (c *coding) factorsOf(dst []byte, x extremes, global float32) (f factors, err error) {
	if c.ofZeros != nil && x.largest() == 0 {
		copy(dst, c.ofZeros)
		return factors{scale: 1}, nil
	}
	switch {
	case c.level != nil:
		f.scale = c.level.scale(dst, x.largest(), global)
	case c.zeros != nil:
		f = c.zeros.factors(c.scaleType, dst, x)
	default:
		f.scale = c.codes.scale(c.scaleType, dst, x.largest())
	}
	if math.IsInf(float64(f.scale), 1) {
		return f, fmt.Errorf("values up to %v have no scale of %v", x.largest(), c.scaleType)
	}
	if c.overflows(f, x) {
		return f, fmt.Errorf("values up to %v have codes that are read as infinite", x.largest())
	}
	return f, nil
}

// overflows reports whether the nearest code of an extreme stands for more than a float32 holds.
func (c *coding) overflows(f factors, x extremes) bool {
	if x.largest() < mostPlainScale {
		return false
	}
	if c.zeros == nil {
		x.low = -x.largest()
	}
	return slices.ContainsFunc([]float32{x.low, x.high}, func(v float32) bool {
		return isNotFinite((c.codes.value(v/f.scale+f.zero) - f.zero) * f.scale)
	})
}

// extremesOf are those of values that are finite; where there are no zero points, only the largest magnitude is looked for.
func (c *coding) extremesOf(values []float32) extremes {
	if c.zeros == nil {
		return extremes{0, largestFinite(values)}
	}
	x := extremes{min(0, vec.Min(values)), max(0, vec.Max(values))}
	if x.largest() <= math.MaxFloat32 {
		return x
	}
	x = extremes{}
	for _, v := range values {
		if v-v == 0 {
			x = x.and(extremes{v, v})
		}
	}
	return x
}

// largestFinite is the largest magnitude that is finite.
func largestFinite(x []float32) float32 {
	var largest [1]float32
	vec.RaiseToLargest(largest[:], x, int(oneGroup(int64(len(x)))))
	return largest[0]
}

// oneGroup is a size of a group that kernels take, and that so many values do not fill more than once.
func oneGroup(n int64) int64 { return max(kernelStep, (n+kernelStep-1)&^(kernelStep-1)) }
