package fuse

// TileElements is the most elements that a tile has: 32 KiB as float32, so that a
// dozen operands fit a core's second-level cache.
const TileElements = 8192

// Tiling cuts a tensor into tiles that respect its rows: several whole rows to a
// tile, or several equal tiles to a row. It depends on the shape alone, because
// sums are rounded tile by tile.
type Tiling struct {
	elements int64
	row      int64 // elements of a row
	rows     int64 // whole rows in a tile, if parts is 1
	parts    int64 // tiles in a row
	part     int64 // elements of such a tile; the last one of a row may be shorter
	sparse   int64 // tiles of part elements, spread over the tensor, instead of all; 0 for all
}

// NewTiling cuts a tensor of so many elements in rows of rowLen.
func NewTiling(elements, rowLen int64) Tiling {
	t := Tiling{elements: elements, row: max(rowLen, 1), rows: 1, parts: 1}
	if t.row <= TileElements {
		t.rows = TileElements / t.row
		t.part = t.row
		return t
	}
	t.parts = (t.row + TileElements - 1) / TileElements
	t.part = (t.row + t.parts - 1) / t.parts
	return t
}

// Sparse picks so many tiles of at most size elements, spread over the tensor, for a stage
// that is content with a sample. Each is somewhere in its own equal part of the tensor:
// where, is the same in every run, but follows no period that the tensor might have.
func (t Tiling) Sparse(tiles, size int64) Tiling {
	t.sparse = max(1, min(tiles, t.elements))
	t.part = min(size, t.elements/t.sparse)
	return t
}

// IsSparse reports whether the tiles leave gaps.
func (t Tiling) IsSparse() bool { return t.sparse > 0 }

// Covered is the number of elements in all tiles.
func (t Tiling) Covered() int64 {
	if t.sparse > 0 {
		return t.sparse * t.part
	}
	return t.elements
}

// sparseRange is tile i of a sparse tiling.
func (t Tiling) sparseRange(i int64) (lo, hi int64) {
	const golden = 0x9e3779b97f4a7c15 // 2⁶⁴ over the golden ratio: multiples spread evenly
	begin, end := t.elements/t.sparse*i, t.elements/t.sparse*(i+1)
	slack := uint64(end-begin-t.part) + 1
	lo = begin + int64((uint64(i)*golden>>32)%slack)
	return lo, lo + t.part
}

// Elements is the number of elements of the tensor.
func (t Tiling) Elements() int64 { return t.elements }

// RowLen is the number of elements of a row.
func (t Tiling) RowLen() int64 { return t.row }

// Rows is the number of rows.
func (t Tiling) Rows() int64 { return t.elements / t.row }

// LongRows reports whether a row takes more than one tile.
func (t Tiling) LongRows() bool { return t.parts > 1 }

// Count is the number of tiles.
func (t Tiling) Count() int64 {
	if t.sparse > 0 {
		return t.sparse
	}
	if t.parts > 1 {
		return t.Rows() * t.parts
	}
	per := t.rows * t.row
	return (t.elements + per - 1) / per
}

// Range is the elements [lo, hi) of tile i.
func (t Tiling) Range(i int64) (lo, hi int64) {
	if t.sparse > 0 {
		return t.sparseRange(i)
	}
	if t.parts > 1 {
		row, part := i/t.parts, i%t.parts
		lo = row*t.row + part*t.part
		return lo, min(lo+t.part, (row+1)*t.row)
	}
	per := t.rows * t.row
	return i * per, min((i+1)*per, t.elements)
}

// Row is the row that tile i belongs to, where rows are long.
func (t Tiling) Row(i int64) int64 { return i / t.parts }

// Grouped cuts the same tensor into larger tiles, of whole rows: about together elements of several rows, or one row. A
// row of more than longest elements is cut into equal parts but for the last, of whole tiles of t.
func (t Tiling) Grouped(longest, together int64) Tiling {
	g := Tiling{elements: t.elements, row: t.rows * t.row, rows: 1, parts: 1}
	if t.row <= longest {
		g.row *= max(1, together/g.row)
		return g
	}
	few := (t.parts + longest/TileElements - 1) / (longest / TileElements)
	each := (t.parts + few - 1) / few // tiles in a part
	g.row, g.parts, g.part = t.row, (t.parts+each-1)/each, each*t.part
	return g
}

// TileOf is the tile that an element is in.
func (t Tiling) TileOf(element int64) int64 {
	if t.parts > 1 {
		return element/t.row*t.parts + element%t.row/t.part
	}
	return element / (t.rows * t.row)
}

// Longest is the number of elements of the first tile, which is the longest.
func (t Tiling) Longest() int64 {
	if t.elements == 0 {
		return 0
	}
	lo, hi := t.Range(0)
	return hi - lo
}
