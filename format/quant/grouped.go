package quant

import (
	"encoding/binary"

	"weld/format"
)

// groupedLines restore (code − zero point) × scale from codes that are packed into words of 32 bits, all rows of a column
// in one line. A group of columns has one scale and one zero point for each row. GPTQ and AWQ are stored so.
type groupedLines struct {
	bits, rows, groups int64
	pack               packing
	zeros, scales      int // tensors, [groups, rows packed] and [groups, rows]
	scaleType          format.DType
	groupOf            int   // the tensor that has the group of each column; −1 where groups have a size
	group              int64 // columns
	minusOne           bool  // zero points are stored less one
}

// packing is how codes lie in words.
type packing int

const (
	packColumns packing = iota // GPTQ: codes of consecutive columns, as a stream of bits; zero points of consecutive rows
	packRows                   // AWQ: codes and zero points of eight rows, in its own order
)

// awqPlace is where in a word the code of each of eight rows is: AutoAWQ 0.2 (packing_utils.py) packs rows 0, 2, 4, 6, 1, 3, 5, 7.
var awqPlace = [8]int64{0, 4, 1, 5, 2, 6, 3, 7}

// words is how many words have whole codes: a code of three bits can lie in two.
func (l *groupedLines) words() int64 {
	if 32%l.bits == 0 {
		return 1
	}
	return l.bits
}

// across implements [lines].
func (l *groupedLines) across(top, bottom int64) (begin, end int64) {
	if l.pack == packRows {
		return top * l.bits / 32 * 4, (bottom*l.bits + 31) / 32 * 4
	}
	return top * 4, (l.words()-1)*l.rows*4 + bottom*4
}

// most implements [lines]: scales and zero points of all groups are held.
func (l *groupedLines) most() int64 { return pieceElements / 2 / l.groups }

// tables are the scales and zero points of a pass, [groups][rows] each.
func (l *groupedLines) tables(from codeLender, pass codeTile) (scales, zeros []float32) {
	n := l.groups * pass.rows()
	both := from.floats(2 * n)
	return both[:n], both[n:]
}

// prepare implements [lines].
func (l *groupedLines) prepare(from codeLender, pass codeTile) error {
	scales, zeros := l.tables(from, pass)
	rows, size := pass.rows(), int64(l.scaleType.Bits()/8)
	err := from.strided(l.scales, pass.top*size, l.rows*size, rows*size, l.groups, func(g int64, data []byte) error {
		decodeScales(l.scaleType, scales[g*rows:][:rows], data)
		return nil
	})
	if err != nil {
		return err
	}
	stride := l.rows * l.bits / 8
	begin := pass.top * l.bits / 32 * 4
	end := (pass.bottom*l.bits + 31) / 32 * 4
	return from.strided(l.zeros, begin, stride, end-begin, l.groups, func(g int64, data []byte) error {
		if !l.zeroPoints(zeros[g*rows:][:rows], data, pass.top, begin*8) {
			return from.refuse(l.zeros, "a zero point that is stored less one is 2^bits − 1, which libraries read as 0 or as 2^bits, or spoil its neighbours by it")
		}
		return nil
	})
}

// zeroPoints decodes those of a group, for rows from top on; data begins at a bit of the group. It
// reports whether all can be told: of those that are stored less one, not the one that wraps.
func (l *groupedLines) zeroPoints(dst []float32, data []byte, top, begin int64) (ok bool) {
	most := int64(1)<<l.bits - 1
	for i := range dst {
		at := top + int64(i)
		if l.pack == packRows {
			at = at/8*8 + awqPlace[at%8]
		}
		zero := bitsAt(data, at*l.bits-begin, l.bits)
		if l.minusOne {
			if zero == most {
				return false
			}
			zero++
		}
		dst[i] = float32(zero)
	}
	return true
}

// bitsAt is a code of at most eight bits in a stream.
func bitsAt(data []byte, at, bits int64) int64 {
	v := int64(data[at/8]) >> (at % 8)
	if over := at%8 + bits - 8; over > 0 {
		v |= int64(data[at/8+1]) << (bits - over)
	}
	return v & (1<<bits - 1)
}

// restore implements [lines].
func (l *groupedLines) restore(from codeLender, dst []float32, codes []byte, at codeTile) error {
	if l.groupOf < 0 {
		return l.restoreColumns(from, dst, codes, at, func(column int64) int64 { return column / l.group })
	}
	return from.with(l.groupOf, at.left*4, at.columns()*4, func(data []byte) error {
		for c := range at.columns() {
			if g := int32(binary.LittleEndian.Uint32(data[c*4:])); g < 0 || int64(g) >= l.groups {
				return from.refuse(l.groupOf, "column %d is of group %d, of %d", at.left+c, g, l.groups)
			}
		}
		return l.restoreColumns(from, dst, codes, at, func(column int64) int64 {
			return int64(binary.LittleEndian.Uint32(data[(column-at.left)*4:]))
		})
	})
}

// restoreColumns restores a tile, whose columns are of groups.
func (l *groupedLines) restoreColumns(from codeLender, dst []float32, codes []byte, at codeTile, groupOf func(column int64) int64) error {
	scales, zeros := l.tables(from, at)
	rows := at.rows()
	for c := range at.columns() {
		g := groupOf(at.left + c)
		column, scales, zeros := dst[c*rows:][:rows], scales[g*rows:][:rows], zeros[g*rows:][:rows]
		l.unpack(column, codes, c, at.top)
		for i, code := range column {
			column[i] = (code - zeros[i]) * scales[i]
		}
	}
	return nil
}

// unpack decodes the codes of a column, which is counted from the first of a tile.
func (l *groupedLines) unpack(dst []float32, codes []byte, column, top int64) {
	if l.pack == packRows {
		stride := l.rows * l.bits / 8
		line, begin := codes[column*stride:], top*l.bits/32*32
		for i := range dst {
			at := top + int64(i)
			dst[i] = float32(bitsAt(line, (at/8*8+awqPlace[at%8])*l.bits-begin, l.bits))
		}
		return
	}
	step := 32 * l.words() / l.bits
	line := codes[column/step*l.words()*l.rows*4:]
	at := column % step * l.bits
	low, shift, mask := line[at/32*l.rows*4:], at%32, uint32(1)<<l.bits-1
	if shift+l.bits <= 32 {
		for i := range dst {
			dst[i] = float32(binary.LittleEndian.Uint32(low[i*4:]) >> shift & mask)
		}
		return
	}
	for i := range dst { // a code that begins in one word and ends in the next
		high := binary.LittleEndian.Uint32(low[int64(i)*4+l.rows*4:])
		dst[i] = float32((binary.LittleEndian.Uint32(low[i*4:])>>shift | high<<(32-shift)) & mask)
	}
}
