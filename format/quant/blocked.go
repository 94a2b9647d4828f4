package quant

import (
	"fmt"
	"math"
	"slices"

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

// mostJoined is how long rows are that are made of shorter ones.
const mostJoined = 4096

// joined sees a tensor whose scales are of whole rows, of several each, as one of fewer and longer rows, and gives each of these the same scale:
// kernels of convolutions have rows of three values, and what is done row by row takes as long for them as for long ones.
func joined(of, scales, block blockGrid) (blockGrid, blockGrid, blockGrid) {
	if block.cols != of.cols || of.cols < 1 || of.cols > mostJoined/2 {
		return of, scales, block
	}
	if block.rows == of.rows { // of whole matrices, which lie one behind the other
		of, scales = blockGrid{1, of.slices * of.rows, of.cols}, blockGrid{1, scales.slices, 1}
		block = blockGrid{1, block.slices * block.rows, block.cols}
	}
	for n := min(block.rows, mostJoined/of.cols); n > 1; n-- {
		if of.rows%n == 0 && block.rows%n == 0 {
			of.rows, of.cols = of.rows/n, of.cols*n
			block.rows, block.cols = block.rows/n, of.cols
			break
		}
	}
	return of, scales, block
}

// scaleGrid are scales, each of a block of a tensor. The blocks at the edges are cut.
type scaleGrid struct {
	tensor    int
	dtype     format.DType
	blockGrid           // of the scales
	block     blockGrid // elements that one of them is of
	swizzled  bool
}

// scalesOf finds out which block of a tensor each scale is of. wanted are the rows and columns of a block, where the
// configuration says them; else 0, and a size that divides the tensor is taken.
func scalesOf(of, scales []int64, wanted [2]int64) (g, block blockGrid, err error) {
	t := gridOf(of)
	n, _ := format.Elements(scales)
	switch {
	case n == 1:
		return blockGrid{1, 1, 1}, t, nil
	case len(scales) == len(of) && inOrder(of, scales):
		g = gridOf(scales)
	case len(scales) == 1 && len(of) == 2 && scales[0] == of[0]: // of each row
		g = blockGrid{1, scales[0], 1}
	case len(scales) == 1 && len(of) > 2 && scales[0] == of[0]: // of each matrix, or of all that have one first index
		g = blockGrid{scales[0], 1, 1}
	default:
		return g, block, fmt.Errorf("scales of shape %v for a weight of shape %v, and nothing says which values each of them is of", scales, of)
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

// inOrder reports whether scales are of runs of matrices, as a grid has them: of the leading sizes they have the first ones, and 1 of the others.
func inOrder(of, scales []int64) bool {
	leading := max(0, len(of)-2)
	k := 0
	for k < leading && scales[k] == of[k] {
		k++
	}
	return !slices.ContainsFunc(scales[k:leading], func(n int64) bool { return n != 1 })
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
	if s.swizzled {
		return s.loadSwizzled(from, slice*s.rows+top, bottom-top, dst)
	}
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
		dst[i] = powersOfTwo[code]
	}
}

// powersOfTwo are the values of E8M0.
var powersOfTwo = func() (powers [256]float32) {
	for code := range powers {
		powers[code] = powerOfTwo(byte(code))
	}
	return powers
}()

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
	return b.runs(dst, lo, int64(len(from.scratch)), func(run blockRun) error {
		numbers := from.floats((run.bottom - run.top) * b.grid.cols)
		if err := load(from, run.slice, run.top, run.bottom, numbers); err != nil {
			return err
		}
		b.rows(run, func(row []float32, _, at, k int64) { use(row, at, numbers[k*b.grid.cols:][:b.grid.cols]) })
		return nil
	})
}

// blockRun is elements from lo on, in rows of one matrix, and where their numbers are: in rows [top, bottom) of a matrix of them.
type blockRun struct {
	dst                []float32
	lo                 int64
	slice, top, bottom int64
}

// runs has use look at elements from lo on, as many at a time as have at most so many numbers, or one row of them.
func (b perBlock) runs(dst []float32, lo, most int64, use func(run blockRun) error) error {
	for len(dst) > 0 {
		slice, row := lo/b.of.cols/b.of.rows, lo/b.of.cols%b.of.rows
		rows := min((lo%b.of.cols+int64(len(dst))+b.of.cols-1)/b.of.cols, b.of.rows-row) // of this matrix
		top := row / b.block.rows
		bottom := min((row+rows-1)/b.block.rows+1, top+max(1, most/b.grid.cols))
		rows = min(rows, bottom*b.block.rows-row)
		n := min(rows*b.of.cols-lo%b.of.cols, int64(len(dst)))
		if err := use(blockRun{dst[:n], lo, slice / b.block.slices, top, bottom}); err != nil {
			return err
		}
		dst, lo = dst[n:], lo+n
	}
	return nil
}

// rows has use look at the parts of rows in a run: a part, its first element, the column that it begins at, and its row of numbers, counted from the
// run's first.
func (b perBlock) rows(run blockRun, use func(row []float32, lo, at, k int64)) {
	for dst, lo := run.dst, run.lo; len(dst) > 0; {
		at := lo % b.of.cols
		n := min(b.of.cols-at, int64(len(dst)))
		use(dst[:n], lo, at, lo/b.of.cols%b.of.rows/b.block.rows-run.top)
		dst, lo = dst[n:], lo+n
	}
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
