package fuse

import (
	"math"
	"slices"
)

const (
	// longestRow is the most elements that are ranked together; a longer row is ranked in
	// parts, which are of equal size but for the last.
	longestRow = 32 * TileElements
	// rowsTogether is about how many elements of shorter rows are shown at once.
	rowsTogether = 4 * TileElements
)

// rows cuts a tensor into whole rows, its vectors along the last dimension, for stages that
// have to see them so. A vector is one row.
type rows struct {
	length int64  // of a row
	whole  Tiling // some rows, or a part of one that is too long
	tiles  Tiling // of ordinary size; those of a whole tile follow one another
}

func rowsOf(j *Job) rows {
	n, length := j.Tiling.Elements(), int64(1)
	if len(j.Shape) > 0 {
		length = max(1, j.Shape[len(j.Shape)-1])
	}
	tiles := NewTiling(n, length)
	whole := Tiling{elements: n, row: tiles.rows * length, rows: 1, parts: 1}
	if length > longestRow {
		few := (tiles.parts + longestRow/TileElements - 1) / (longestRow / TileElements)
		each := (tiles.parts + few - 1) / few // tiles in a part
		whole.row, whole.parts, whole.part = length, (tiles.parts+each-1)/each, each*tiles.part
	} else {
		whole.row *= max(1, rowsTogether/whole.row)
	}
	return rows{length, whole, tiles}
}

// rowBytes is what a worker holds of a tensor's rows: marks for all models, and what it takes to
// sort one row. What a span takes, as its rows are whole, is counted too.
func rowBytes(j *Job) int64 {
	r := rowsOf(j)
	n := tileLen(r.whole)
	models := int64(len(j.Models))
	row := min(n, r.length)
	sorting := row*(2*4+2*8) + min(row/4+64, mostBins)*(4+4+1)
	return n*models*4 + sorting + n*(models+2)*int64(j.DType.Bits()/8)
}

// tileLen is the length of the first tile, which is the longest.
func tileLen(t Tiling) int64 {
	if t.elements == 0 {
		return 0
	}
	lo, hi := t.Range(0)
	return hi - lo
}

// tileOf is the ordinary tile that an element is in.
func (r rows) tileOf(element int64) int64 {
	if t := r.tiles; t.parts > 1 {
		return element/t.row*t.parts + element%t.row/t.part
	}
	return element / (r.tiles.rows * r.tiles.row)
}

// inRows is a stage that sees whole rows. It implements [Sampling] for the sake of its tiling,
// which is that of its whole chain.
type inRows struct {
	Stage
	rows rows
	look func(s *Scratch, sp *Span) // at whole rows, before the stage works on their tiles
}

// Tiling implements [Sampling].
func (st inRows) Tiling() Tiling { return st.rows.whole }

func (st inRows) Span(s *Scratch, sp *Span) error {
	for t := range sp.Tiles {
		part := st.rows.span(sp, t)
		st.look(s, part)
		if err := st.Stage.Span(s, part); err != nil {
			return err
		}
	}
	return nil
}

// span cuts a whole tile out of a span, and into ordinary tiles.
func (r rows) span(sp *Span, t Tile) *Span {
	part := &Span{Tiling: r.tiles, First: r.tileOf(t.Lo), Last: r.tileOf(t.Hi-1) + 1, OutDType: sp.OutDType}
	cut := func(o Operand) Operand {
		if o.Data == nil {
			return o
		}
		return Operand{o.DType, o.tile(t)}
	}
	part.Base = cut(sp.Base)
	for _, o := range sp.Models {
		part.Models = append(part.Models, cut(o))
	}
	if sp.Out != nil {
		part.Out = Operand{sp.OutDType, sp.Out}.tile(t)
	}
	return part
}

// rowMemory is what a worker needs for the rows at hand.
type rowMemory struct {
	lo, hi int64       // elements
	marks  [][]float32 // for each model

	// Of the row at hand:
	bins       bins
	limits     []uint32    // for each bin
	luck, kept []float32   // for each element
	keys       [2][]uint64 // of elements that are sorted: magnitude, then index
}

// begin makes room for the elements of a span.
func (m *rowMemory) begin(sp *Span) (lo, hi int64) {
	m.lo, _ = sp.Tiling.Range(sp.First)
	_, m.hi = sp.Tiling.Range(sp.Last - 1)
	for len(m.marks) < len(sp.Models) {
		m.marks = append(m.marks, nil)
	}
	return m.lo, m.hi
}

// run is the marks of some elements for the k-th model.
func (m *rowMemory) run(k int, lo, hi int64) []float32 {
	m.marks[k] = grown(m.marks[k], m.hi-m.lo)
	return m.marks[k][lo-m.lo : hi-m.lo]
}

// tile is the marks of a tile.
func (m *rowMemory) tile(k int, t Tile) []float32 { return m.run(k, t.Lo, t.Hi) }

// grown is x with n elements, whatever they hold.
func grown[E any](x []E, n int64) []E {
	if int64(cap(x)) < n {
		x = make([]E, n)
	}
	return x[:n]
}

// sort orders the keys by their upper half, equal ones by the lower, as they come.
func (m *rowMemory) sort() []uint64 {
	if len(m.keys[0]) < 256 {
		slices.Sort(m.keys[0])
		return m.keys[0]
	}
	m.keys[1] = grown(m.keys[1], int64(len(m.keys[0])))
	return radixSort(m.keys[0], m.keys[1])
}

// Digits of a radix sort over the 31 bits of a score.
const (
	digits    = 3
	digitBits = 11
)

func digit(key uint64, i int) uint64 { return key >> (32 + i*digitBits) & (1<<digitBits - 1) }

// radixSort sorts keys by their upper half, equal ones as they come. The result is in one of both.
func radixSort(keys, spare []uint64) []uint64 {
	var counts [digits][1 << digitBits]uint32
	for _, key := range keys {
		for i := range counts {
			counts[i][digit(key, i)]++
		}
	}
	for i := range counts {
		if int(counts[i][digit(keys[0], i)]) == len(keys) {
			continue // all have the same digit
		}
		at := uint32(0)
		for d, n := range counts[i] {
			counts[i][d] = at
			at += n
		}
		for _, key := range keys {
			d := digit(key, i)
			spare[counts[i][d]] = key
			counts[i][d]++
		}
		keys, spare = spare, keys
	}
	return keys
}

// bins are classes of similar magnitudes in a row, in the order of these. Zeros have the first for
// themselves.
type bins struct {
	shift  uint
	base   uint32   // bins that would come between zeros and the least
	first  []uint32 // for each bin, elements in the ones before; then the elements of all
	marked []bool
}

// sort counts the elements of each bin, unless all are 0.
func (b *bins) sort(x []float32) (ok bool) {
	least, most := uint32(math.MaxUint32), uint32(0)
	for _, v := range x {
		bits := math.Float32bits(v)
		least, most = min(least, bits-1), max(most, bits) // 0 wraps around
	}
	if most == 0 {
		return false
	}
	for b.shift = 0; (most-least)>>b.shift >= uint32(min(max(len(x)/4, 64), mostBins)-3); b.shift++ {
	}
	b.base = 0
	b.base = b.place(least+1) - 1
	n := int64(b.place(most)) + 1
	b.first, b.marked = grown(b.first, n+1), grown(b.marked, n)
	clear(b.first)
	clear(b.marked)
	for _, v := range x {
		b.first[b.of(v)+1]++
	}
	for c := range b.marked {
		b.first[c+1] += b.first[c]
	}
	return true
}

// mostBins is how many bins a row has at most.
const mostBins = 1 << 16

// of is an element's bin.
func (b *bins) of(v float32) int { return int(b.place(math.Float32bits(v))) }

func (b *bins) place(bits uint32) uint32 {
	shift := b.shift & 31
	c := (bits + 1<<shift - 1) >> shift // rounded up: only 0 is in bin 0
	return max(c, b.base) - b.base
}

// ranks yields the elements of the marked bins and their ranks.
func (m *rowMemory) ranks(x []float32) func(yield func(i, rank uint32) bool) {
	m.keys[0] = grown(m.keys[0], int64(len(x)))[:0]
	for i, v := range x {
		if m.bins.marked[m.bins.of(v)] {
			m.keys[0] = append(m.keys[0], uint64(math.Float32bits(v))<<32|uint64(i))
		}
	}
	return func(yield func(i, rank uint32) bool) {
		bin, rank := -1, uint32(0)
		for _, key := range m.sort() {
			if c := m.bins.of(math.Float32frombits(uint32(key >> 32))); c != bin {
				bin, rank = c, m.bins.first[c]
			}
			if !yield(uint32(key), rank) {
				return
			}
			rank++
		}
	}
}
