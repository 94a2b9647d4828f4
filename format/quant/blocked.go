package quant

import (
	"fmt"
	"math"

	"weld/format"
	"weld/internal/vec"
)

// blockGrid is a tensor as a stack of matrices; a vector is one row.
type blockGrid struct{ slices, rows, cols int64 }

// gridOf is the grid of a shape.
func gridOf(shape []int64) blockGrid {
	g := blockGrid{1, 1, 1}
	n := len(shape)
	if n > 0 {
		g.cols = shape[n-1]
	}
	if n > 1 {
		g.rows = shape[n-2]
	}
	for _, d := range shape[:max(0, n-2)] {
		g.slices *= d
	}
	return g
}

// scaleGrid are scales, each of a block of a tensor. The blocks at the edges are cut.
type scaleGrid struct {
	tensor    int
	dtype     format.DType
	blockGrid           // of the scales
	block     blockGrid // elements that one of them is of
}

// scalesOf finds out which block of a tensor each scale is of. wanted are the rows and columns of a block, where the
// configuration says them; else 0, and a size that divides the tensor is taken.
func scalesOf(of, scales []int64, wanted [2]int64) (g, block blockGrid, err error) {
	t := gridOf(of)
	n, _ := format.Elements(scales)
	switch {
	case n == 1:
		return blockGrid{1, 1, 1}, t, nil
	case len(scales) == len(of):
		g = gridOf(scales)
	case len(scales) == 1 && len(of) == 2: // of each row
		g = blockGrid{1, scales[0], 1}
	case len(scales) == 1 && len(of) > 2: // of each matrix
		g = blockGrid{scales[0], 1, 1}
	default:
		return g, block, fmt.Errorf("scales of shape %v", scales)
	}
	other := func() error {
		return fmt.Errorf("scales of shape %v for a weight of shape %v, which are not those of the declared blocks of %d by %d: the configuration is of another checkpoint, or was changed", scales, of, wanted[0], wanted[1])
	}
	for _, d := range []struct {
		of, scales, wanted int64
		block              *int64
	}{{t.slices, g.slices, 0, &block.slices}, {t.rows, g.rows, wanted[0], &block.rows}, {t.cols, g.cols, wanted[1], &block.cols}} {
		switch {
		case d.scales == 1:
			*d.block = max(1, d.of)
		case d.scales == d.of:
			*d.block = 1
		case d.wanted > 0 && (d.of+d.wanted-1)/d.wanted == d.scales:
			*d.block = d.wanted
		case d.wanted == 0 && d.scales > 0 && d.of%d.scales == 0 && !cutAsUsual(d.of, d.scales):
			*d.block = d.of / d.scales
		case d.wanted > 0:
			return g, block, other()
		default:
			return g, block, fmt.Errorf("scales of shape %v for a weight of shape %v, whose blocks have a size that nothing says: config.json's quantization_config has it as weight_block_size", scales, of)
		}
	}
	if halfDeclared(t.rows, g.rows, wanted[0], t.cols, g.cols, wanted[1]) || halfDeclared(t.cols, g.cols, wanted[1], t.rows, g.rows, wanted[0]) {
		return g, block, other()
	}
	return g, block, nil
}

// halfDeclared reports scales that are of declared blocks one way, and of all the other way, where several blocks are declared.
func halfDeclared(whole, wholeScales, wholeBlock, of, scales, block int64) bool {
	return wholeBlock > 0 && block > 0 && wholeScales == 1 && whole > wholeBlock && scales > 1 && scales == (of+block-1)/block
}

// usualBlock is the size of blocks that most libraries have.
const usualBlock = 128

// cutAsUsual reports whether so many scales may be of blocks of the usual size, of which the last is cut: 192 rows with two scales
// are blocks of 96, or of 128 and 64.
func cutAsUsual(of, scales int64) bool {
	return of%usualBlock != 0 && (of+usualBlock-1)/usualBlock == scales
}

// load decodes the scales of rows [top, bottom) of scales of one matrix of them.
func (s *scaleGrid) load(from codeLender, slice, top, bottom int64, dst []float32) error {
	size := int64(s.dtype.Bits() / 8)
	begin := (slice*s.rows + top) * s.cols
	return from.with(s.tensor, begin*size, (bottom-top)*s.cols*size, func(data []byte) error {
		decodeScales(s.dtype, dst[:(bottom-top)*s.cols], data)
		return nil
	})
}

// decodeScales decodes scales of any type that they come in.
func decodeScales(d format.DType, dst []float32, src []byte) {
	if d != format.F8E8M0 {
		format.Decode(d, dst, src)
		return
	}
	for i, code := range src {
		dst[i] = powerOfTwo(code)
	}
}

// powerOfTwo is 2^(code−127), and NaN for 255 (OCP Microscaling Formats 1.0, E8M0).
func powerOfTwo(code byte) float32 {
	switch code {
	case 255:
		return float32(math.NaN())
	case 0:
		return math.Float32frombits(1 << 22) // a subnormal: 2^−127
	}
	return math.Float32frombits(uint32(code) << 23)
}

// isScale reports whether scales come in a type.
func isScale(d format.DType) bool {
	return d == format.F32 || d == format.BF16 || d == format.F16 || d == format.F8E8M0
}

// blockDecoder restores code × scale, the scale that of the element's block.
type blockDecoder struct {
	blockGrid
	codes  int
	dtype  format.DType
	scales scaleGrid
}

// stored implements [decoder].
func (d *blockDecoder) stored(lo, hi int64) (off, n int64) {
	size := int64(d.dtype.Bits() / 8)
	return lo * size, (hi - lo) * size
}

// decode implements [decoder].
func (d *blockDecoder) decode(from codeLender, dst []float32, lo int64) error {
	if d.dtype == format.F8E4M3 {
		return d.decodeFused(from, dst, lo)
	}
	off, n := d.stored(lo, lo+int64(len(dst)))
	if err := from.with(d.codes, off, n, func(data []byte) error {
		format.Decode(d.dtype, dst, data)
		return nil
	}); err != nil {
		return err
	}
	return d.scales.multiply(from, dst, lo, d.blockGrid)
}

// multiply multiplies elements from lo on with their scales.
func (s *scaleGrid) multiply(from codeLender, dst []float32, lo int64, of blockGrid) error {
	return perBlock{s.blockGrid, s.block, of}.each(from, dst, lo, s.load, s.multiplyRow)
}

// perBlock are numbers, each of a block of a tensor.
type perBlock struct{ grid, block, of blockGrid }

// each has use look at elements from lo on, a part of a row at a time, together with the numbers of their row of blocks and the column that
// the part begins at. load loads rows [top, bottom) of the numbers of one matrix of them.
func (b perBlock) each(from codeLender, dst []float32, lo int64, load func(from codeLender, slice, top, bottom int64, dst []float32) error,
	use func(row []float32, at int64, numbers []float32)) error {
	g, block, of := b.grid, b.block, b.of
	for len(dst) > 0 {
		row := lo / of.cols
		slice, row := row/of.rows, row%of.rows
		rows := min((lo%of.cols+int64(len(dst))+of.cols-1)/of.cols, of.rows-row) // of this matrix
		top, bottom := row/block.rows, (row+rows-1)/block.rows+1
		// As many rows of numbers as fit the scratch.
		if most := max(1, int64(len(from.scratch))/g.cols); bottom-top > most {
			bottom = top + most
			rows = min(rows, bottom*block.rows-row)
		}
		numbers := from.floats((bottom - top) * g.cols)
		if err := load(from, slice/block.slices, top, bottom, numbers); err != nil {
			return err
		}
		for range rows {
			at := lo % of.cols
			n := min(of.cols-at, int64(len(dst)))
			use(dst[:n], at, numbers[(row/block.rows-top)*g.cols:][:g.cols])
			dst, lo, row = dst[n:], lo+n, row+1
		}
	}
	return nil
}

// multiplyRow multiplies a part of a row, which begins at a column.
func (s *scaleGrid) multiplyRow(row []float32, at int64, scales []float32) {
	for len(row) > 0 {
		block := at / s.block.cols
		n := min((block+1)*s.block.cols-at, int64(len(row)))
		vec.Scale(row[:n], row[:n], scales[block])
		row, at = row[n:], at+n
	}
}
