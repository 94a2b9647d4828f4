package quant

import (
	"fmt"
	"math"
	"slices"

	"weld/format"
	"weld/internal/vec"
)

// coding is how values become codes and scales: by the shape of their tensor, the blocks that scales are of, and types. It knows no names, and
// nothing of files. Values come a stripe at a time: some rows of one matrix, in which blocks lie whole. A stripe is cut into bands, each of which is
// a row of blocks.
type coding struct {
	blockGrid           // the values
	block     blockGrid // that one scale is of, in one matrix; those at the edges are cut
	scaleType format.DType
	codes     codeWriter
}

// codeWriter writes one kind of codes, in rows that begin on a byte each.
type codeWriter interface {
	// stored are the bytes of the codes that elements [lo, hi) have a part in.
	stored(lo, hi int64) (off, n int64)
	// scale stores the scale of a block by its largest magnitude, and returns what it is read as.
	scale(d format.DType, dst []byte, largest float32) float32
	// encode stores values in a row of codes, from a column on. The values are divided by their scale. It is false if one of them is NaN, and
	// there is no code for it.
	encode(row []byte, col int64, values []float32) bool
}

// stripe is the values of some rows, and what they become.
type stripe struct {
	values        []float32
	codes, scales []byte
	codesAt       int64 // in the tensor of codes
	scalesAt      int64 // in the tensor of scales
	kept          []bool
	row           []float32 // memory for one row
}

// stripeRows are the rows of a stripe; the last one of a matrix may be cut. Blocks of few rows make a stripe together.
func (c *coding) stripeRows() int64 {
	return c.block.rows * max(1, pieceElements/max(1, c.block.rows*c.cols))
}

// fits reports whether a stripe can be held.
func (c *coding) fits() bool {
	return c.block.slices <= 1 && min(c.stripeRows(), c.rows)*c.cols*width <= mostStripe
}

// scaleCols are the scales of a band.
func (c *coding) scaleCols() int64 { return (c.cols + c.block.cols - 1) / c.block.cols }

// scaleBytes are the bytes of the scales of a band.
func (c *coding) scaleBytes() int64 { return c.scaleCols() * int64(c.scaleType.Bits()/8) }

// encode fills in the codes and the scales of a stripe, which begins at a row of a matrix. A block whose values are those of the
// reference, if there is one, keeps its bytes.
func (c *coding) encode(s *stripe, slice, top int64, reference *lentReference) error {
	rows, high := int64(len(s.values))/c.cols, c.block.rows
	bands, first := (rows+high-1)/high, (slice*c.rows+top)*c.cols
	at, n := c.stored(first, first+int64(len(s.values)))
	s.codesAt, s.codes = at, slices.Grow(s.codes[:0], int(n))[:n]
	clear(s.codes) // rows of packed codes may end before their last byte
	s.scalesAt = (slice*((c.rows+high-1)/high) + top/high) * c.scaleBytes()
	s.scales = slices.Grow(s.scales[:0], int(bands*c.scaleBytes()))[:bands*c.scaleBytes()]
	s.kept = slices.Grow(s.kept[:0], int(c.scaleCols()))[:c.scaleCols()]
	for k := range bands {
		begin := first + k*high*c.cols
		end := min(begin+high*c.cols, first+int64(len(s.values)))
		off, n := c.stored(begin, end)
		b := band{
			coding: c, begin: begin, codesAt: off, scalesAt: s.scalesAt + k*c.scaleBytes(),
			values: s.values[begin-first : end-first], codes: s.codes[off-at : off-at+n], scales: s.scales[k*c.scaleBytes():][:c.scaleBytes()], kept: s.kept,
		}
		clear(b.kept)
		if reference != nil {
			if err := reference.keep(&b, s.row); err != nil {
				return err
			}
		}
		if err := b.encode(); err != nil {
			return err
		}
	}
	return nil
}

// stored are the bytes of the codes of elements.
func (c *coding) stored(lo, hi int64) (off, n int64) { return c.codes.stored(lo, hi) }

// band is a row of blocks: their values, which encode changes, and what they become.
type band struct {
	*coding
	begin             int64 // the first element
	codesAt, scalesAt int64 // in their tensors
	values            []float32
	codes, scales     []byte
	kept              []bool // blocks that have their codes and scales
}

// columns are those of a block.
func (b *band) columns(k int64) (lo, hi int64) {
	return k * b.block.cols, min((k+1)*b.block.cols, b.cols)
}

// encode stores the blocks that are not kept.
func (b *band) encode() error {
	for k, kept := range b.kept {
		if kept {
			continue
		}
		if err := b.encodeBlock(int64(k)); err != nil {
			return err
		}
	}
	return nil
}

// encodeBlock stores one block.
func (b *band) encodeBlock(k int64) error {
	lo, hi := b.columns(k)
	largest := float32(0)
	for row := lo; row < int64(len(b.values)); row += b.cols {
		largest = max(largest, largestFinite(b.values[row:row+hi-lo]))
	}
	size := int64(b.scaleType.Bits() / 8)
	scale := b.coding.codes.scale(b.scaleType, b.scales[k*size:][:size], largest)
	if math.IsInf(float64(scale), 1) {
		return fmt.Errorf("values up to %v have no scale of %v", largest, b.scaleType)
	}
	for row := int64(0); row < int64(len(b.values)); row += b.cols {
		values := b.values[row+lo : row+hi]
		vec.Div(values, values, scale)
		at, _ := b.stored(b.begin+row, b.begin+row+1)
		if !b.coding.codes.encode(b.codes[at-b.codesAt:], lo, values) {
			i := slices.IndexFunc(values, func(x float32) bool { return x != x })
			return fmt.Errorf("element %d is NaN, for which there is no code", b.begin+row+lo+int64(i))
		}
	}
	return nil
}

// largestFinite is the largest magnitude that is finite.
func largestFinite(x []float32) float32 {
	largest := max(vec.Max(x), -vec.Min(x))
	if largest <= math.MaxFloat32 {
		return max(largest, 0)
	}
	largest = 0
	for _, v := range x {
		if v = max(v, -v); v <= math.MaxFloat32 {
			largest = max(largest, v)
		}
	}
	return largest
}
