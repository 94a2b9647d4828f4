package sparsify

import (
	"weld/internal/vec"
	"weld/stream/fuse"
)

const (
	// longestRow is the most elements that are ranked together; a longer row is ranked in
	// parts, which are of equal size but for the last.
	longestRow = 32 * fuse.TileElements
	// rowsTogether is about how many elements of shorter rows are shown at once.
	rowsTogether = 4 * fuse.TileElements
)

// rows cuts a tensor into whole rows, its vectors along the last dimension, for stages that
// have to see them so. A vector is one row.
type rows struct {
	length int64       // of a row
	whole  fuse.Tiling // some rows, or a part of one that is too long
	tiles  fuse.Tiling // of ordinary size; those of a whole tile follow one another
}

func rowsOf(j *fuse.Job) rows {
	n, length := j.Tiling.Elements(), int64(1)
	if len(j.Shape) > 0 {
		length = max(1, j.Shape[len(j.Shape)-1])
	}
	tiles := fuse.NewTiling(n, length)
	return rows{length, tiles.Grouped(longestRow, rowsTogether), tiles}
}

// rowBytes is what a worker holds of a tensor's rows: masks for all models, and what it takes to
// rank elements. What a span takes, as its rows are whole, is counted too.
func rowBytes(j *fuse.Job) int64 {
	r := rowsOf(j)
	n := r.whole.Longest()
	models := int64(len(j.Models))
	row := min(n, r.length)
	masks := 4 * (models*(words(n)+1) + 2*words(n))
	drawing := n*(4+4) + 4*3*vec.RandomBlock
	return masks + drawing + rankBytes(row) + n*(models+2)*int64(j.DType.Bits()/8)
}

// inRows is a stage that sees whole rows. It implements [fuse.Sampling] for the sake of its tiling,
// which is that of its whole chain.
type inRows struct {
	fuse.Stage
	rows rows
	look func(s *fuse.Scratch, sp *fuse.Span, whole int64) // at a whole tile, before the stage works on its ordinary ones
}

// Tiling implements [fuse.Sampling].
func (st inRows) Tiling() fuse.Tiling { return st.rows.whole }

func (st inRows) Span(s *fuse.Scratch, sp *fuse.Span) error {
	for t := range sp.Tiles {
		part := st.rows.span(sp, t)
		st.look(s, part, t.Index)
		if err := st.Stage.Span(s, part); err != nil {
			return err
		}
	}
	return nil
}

// span cuts a whole tile out of a span, and into ordinary tiles.
func (r rows) span(sp *fuse.Span, t fuse.Tile) *fuse.Span {
	part := &fuse.Span{Tiling: r.tiles, First: r.tiles.TileOf(t.Lo), Last: r.tiles.TileOf(t.Hi-1) + 1, OutDType: sp.OutDType, Again: sp.Again}
	cut := func(o fuse.Operand) fuse.Operand {
		if o.Data == nil {
			return o
		}
		return fuse.Operand{DType: o.DType, Data: o.Of(t)}
	}
	part.Base = cut(sp.Base)
	for _, o := range sp.Models {
		part.Models = append(part.Models, cut(o))
	}
	if sp.Out != nil {
		part.Out = fuse.Operand{DType: sp.OutDType, Data: sp.Out}.Of(t)
	}
	return part
}

// chosen are the masks of what one stage of a tensor chose, for the next: as many whole tiles as fit.
type chosen struct {
	known  []bool     // for each of those tiles
	words  int64      // of a tile's mask
	models [][]uint32 // masks of all tiles, one after the other; nil for a model that has none
}

// chosenBytes is the most that the masks of a tensor take.
const chosenBytes = 48 << 20

// chosenTiles is how many whole tiles are remembered of so many models, and the words of each mask.
func (r rows) chosenTiles(models int) (tiles, length int64) {
	length = words(r.whole.Longest()) + 1
	return min(r.whole.Count(), chosenBytes/(1+4*length*int64(max(1, models)))), length
}

// newChosen makes buffers for models that are masked.
func newChosen(r rows, masked []bool) chosen {
	tiles, length := r.chosenTiles(len(masked))
	c := chosen{make([]bool, tiles), length, make([][]uint32, len(masked))}
	for k, m := range masked {
		if m {
			c.models[k] = make([]uint32, tiles*length)
		}
	}
	return c
}

// recall fills in the masks of a whole tile, if they are known.
func (c *chosen) recall(m *rowMemory, whole int64) bool {
	if whole >= int64(len(c.known)) || !c.known[whole] {
		return false
	}
	used := words(m.hi-m.lo) + 1
	for k, masks := range c.models {
		if masks != nil {
			m.kept[k] = append(m.kept[k][:0], masks[whole*c.words:][:used]...)
		}
	}
	return true
}

// note remembers the masks of a whole tile.
func (c *chosen) note(m *rowMemory, whole int64) {
	if whole >= int64(len(c.known)) {
		return
	}
	for k, masks := range c.models {
		if masks != nil {
			copy(masks[whole*c.words:], m.kept[k])
		}
	}
	c.known[whole] = true
}

// rowMemory is what a worker needs for the rows at hand.
type rowMemory struct {
	lo, hi int64       // elements
	kept   [][]uint32  // masks for each model
	norms  [][]fuse.L1 // of each tile, for each model whose elements were chosen

	// Of the model at hand:
	sizes   []float32 // magnitudes
	buffer  []int32   // for numbers
	numbers []int32   // with so many behind them that whole words of a mask can be made

	// Of the row at hand:
	sure, open []uint32 // masks of what is kept, and of what is not decided
	ranks      rowRanks
}

// begin makes buffers for the elements of a span.
func (m *rowMemory) begin(sp *fuse.Span) (lo, hi int64) {
	m.lo, _ = sp.Tiling.Range(sp.First)
	_, m.hi = sp.Tiling.Range(sp.Last - 1)
	n := m.hi - m.lo
	for len(m.kept) < len(sp.Models) {
		m.kept, m.norms = append(m.kept, nil), append(m.norms, nil)
	}
	m.sure, m.open = grown(m.sure, words(n)), grown(m.open, words(n))
	m.sizes = grown(m.sizes, n)
	m.buffer = grown(m.buffer, n+3*vec.RandomBlock)
	return m.lo, m.hi
}

// mask lends the mask of a tile for the k-th model, made in buffer.
func (m *rowMemory) mask(buffer []uint32, k int, t fuse.Tile) []uint32 {
	at := t.Lo - m.lo
	first, end := at/32, (t.Hi-m.lo+31)/32
	return advance(buffer[:end-first], m.kept[k][first:end], int(at%32))
}

// grown is x with n elements, whatever they hold.
func grown[E any](x []E, n int64) []E {
	if int64(cap(x)) < n {
		x = make([]E, n)
	}
	return x[:n]
}
