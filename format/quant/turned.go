package quant

import (
	"encoding/binary"
	"math"

	"weld/internal/vec"
)

// turned restores values that are the transposes of what is stored: a line of codes has all rows of one column of the
// values, or of a few. A range is restored in one pass over the lines, a tile at a time, however many rows it has; of each line
// only that is looked at which the rows need.
type turned struct {
	blockGrid       // of the values
	codes     int   // the tensor
	step      int64 // columns that a line of codes has; they divide a row
	stride    int64 // bytes of a line
	lines           // how values are restored
}

// lines restore values from lines of codes. They may be used from several goroutines at once.
type lines interface {
	// across are the bytes of a line that rows [top, bottom) have a part in.
	across(top, bottom int64) (begin, end int64)
	// most is how many rows can be restored in one pass.
	most() int64
	// prepare loads into the scratch what a pass over some rows needs throughout; left and right are not set.
	prepare(from codeLender, pass codeTile) error
	// restore fills dst, [columns][rows], with a tile. codes are its lines from the first byte that is looked at; each begins a
	// stride behind the one before.
	restore(from codeLender, dst []float32, codes []byte, at codeTile) error
}

// placing are [lines] that restore a tile where it belongs, and turn nothing.
type placing interface {
	// place restores a tile, whose codes are as for restore, in rows of cols values; out begins behind the first skip of these. room is memory for a piece.
	place(from codeLender, out, room []float32, codes []byte, at codeTile, cols, skip int64) error
	// together is how many rows of a matrix are restored at a time.
	together() int64
}

// codeTile is a part of one matrix: rows [top, bottom) of columns [left, right).
type codeTile struct{ slice, top, bottom, left, right int64 }

func (t codeTile) rows() int64    { return t.bottom - t.top }
func (t codeTile) columns() int64 { return t.right - t.left }

// stored implements [decoder]: all codes of the matrices.
func (d *turned) stored(lo, hi int64) (off, n int64) {
	if lo >= hi {
		return 0, 0
	}
	matrix := d.cols / d.step * d.stride
	first, last := lo/(d.rows*d.cols), (hi-1)/(d.rows*d.cols)
	return first * matrix, (last + 1 - first) * matrix
}

// visited implements [revisiting]: matrices that begin in a range, or that end in it.
func (d *turned) visited(done bool, lo, hi int64) (off, n int64) {
	size := d.rows * d.cols
	if !done {
		lo, hi = lo+size-1, hi+size-1
	}
	matrix := d.cols / d.step * d.stride
	return lo / size * matrix, (hi/size - lo/size) * matrix
}

// tileBytes is how much of the codes is looked at at a time, if one line is not more.
const tileBytes = 256 << 10

// cacheLine is the bytes that a cache takes at a time, on most processors: tiles fill whole ones.
const cacheLine = 64

// widest is how much of the codes is looked at at a time.
func (d *turned) widest() int64 {
	begin, end := d.across(0, min(d.rows, d.rowsOfPass(pieceElements)))
	return max(tileBytes, end-begin)
}

// rowsOfPass is how many rows a pass has, where so many values have room.
func (d *turned) rowsOfPass(values int) int64 { return max(1, min(d.most(), int64(values)/d.step)) }

// decodeSpan implements [spanned].
func (d *turned) decodeSpan(from codeLender, values []float32, out []byte, lo int64) error {
	for len(out) > 0 {
		row, at := lo/d.cols, lo%d.cols
		pass := codeTile{slice: row / d.rows, top: row % d.rows, right: d.cols}
		rows := (at + int64(len(out)/width) + d.cols - 1) / d.cols
		pass.bottom = pass.top + min(rows, d.rows-pass.top, d.rowsOfPass(len(values)))
		n := min(pass.rows()*d.cols-at, int64(len(out)/width))
		if pass.rows() == 1 { // a part of the row
			pass.left = at / d.step * d.step
			pass.right = (at + n + d.step - 1) / d.step * d.step
		}
		if err := d.pass(from, values, out[:n*width], at, pass); err != nil {
			return err
		}
		out, lo = out[n*width:], lo+n
	}
	return nil
}

// pass restores rows of a matrix. out begins behind the first skip elements of them.
func (d *turned) pass(from codeLender, values []float32, out []byte, skip int64, pass codeTile) error {
	if err := d.prepare(from, codeTile{slice: pass.slice, top: pass.top, bottom: pass.bottom}); err != nil {
		return err
	}
	room := max(1, int64(len(values))/(pass.rows()*d.step))
	place := func(codes []byte, at codeTile) error {
		block := values[:at.columns()*at.rows()]
		if err := d.restore(from, block, codes, at); err != nil {
			return err
		}
		turn(out, block, at, d.cols, skip)
		return nil
	}
	if p, ok := d.lines.(placing); ok {
		if floats, ok := vec.Floats(out); ok {
			room = max(1, int64(len(values))/p.together())
			place = func(codes []byte, at codeTile) error { return p.place(from, floats, values, codes, at, d.cols, skip) }
		}
	}
	begin, end := d.across(pass.top, pass.bottom)
	lines := min(1+max(0, tileBytes-(end-begin))/d.stride, room)
	if lines > cacheLine/width {
		lines -= lines % (cacheLine / width)
	}
	matrix := pass.slice * (d.cols / d.step) * d.stride
	for at := pass; at.left < pass.right; at.left = at.right {
		at.right = min(at.left+lines*d.step, pass.right)
		off := matrix + at.left/d.step*d.stride + begin
		n := (at.columns()/d.step-1)*d.stride + end - begin
		if err := from.with(d.codes, off, n, func(codes []byte) error { return place(codes, at) }); err != nil {
			return err
		}
	}
	return nil
}

// turn writes a tile, [columns][rows], to where it belongs among rows of cols columns. out begins behind the first skip elements.
func turn(out []byte, block []float32, at codeTile, cols, skip int64) {
	rows := at.rows()
	first, end := wholeRows(int64(len(out)/width), at, cols, skip)
	if values, ok := vec.Floats(out); ok && first < end {
		vec.Transpose(values[first*cols+at.left-skip:], int(cols), block[first:], int(rows), int(at.columns()), int(end-first))
	} else {
		end = first
	}
	for r := range rows {
		if first <= r && r < end {
			continue
		}
		left := max(at.left, skip-r*cols)
		right := min(at.right, skip-r*cols+int64(len(out)/width))
		if left >= right {
			continue
		}
		line := out[(r*cols+left-skip)*width:][:(right-left)*width]
		for c := left - at.left; len(line) > 0; c, line = c+1, line[width:] {
			binary.LittleEndian.PutUint32(line, math.Float32bits(block[c*rows+r]))
		}
	}
}

// wholeRows are the rows of a tile, from one to another, all of whose columns belong to so many elements behind the first skip elements.
func wholeRows(elements int64, at codeTile, cols, skip int64) (first, end int64) {
	for first < at.rows() && first*cols+at.left < skip {
		first++
	}
	for end = at.rows(); end > first && (end-1)*cols+at.right-skip > elements; {
		end--
	}
	return first, end
}
