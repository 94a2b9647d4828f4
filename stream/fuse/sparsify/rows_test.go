package sparsify

import (
	"testing"

	"weld/format"
	"weld/stream/fuse"
)

func TestRowsAreWhole(t *testing.T) {
	for _, shape := range [][]int64{{}, {1}, {3, 0}, {8193}, {100000}, {262144}, {262145}, {1000003}, {3, 700001}, {7, 5}, {5000, 3}, {200, 8192}, {11, 28672}, {4, 5, 70}, {3, 4, 9000}} {
		x := format.Tensor{Shape: shape}
		r := rowsOf(&fuse.Job{Shape: shape, Tiling: fuse.NewTiling(x.Elements(), x.RowLen())})
		at, tile := int64(0), int64(0)
		for i := range r.whole.Count() {
			lo, hi := r.whole.Range(i)
			if lo != at || hi <= lo || hi-lo > longestRow {
				t.Fatalf("%v: whole tile %d is [%d, %d) after %d", shape, i, lo, hi, at)
			}
			if r.length <= longestRow && (lo%r.length != 0 || hi%r.length != 0) || r.length > longestRow && lo/r.length != (hi-1)/r.length {
				t.Fatalf("%v: [%d, %d) cuts rows of %d", shape, lo, hi, r.length)
			}
			first, last := r.tiles.TileOf(lo), r.tiles.TileOf(hi-1)
			begin, _ := r.tiles.Range(first)
			_, end := r.tiles.Range(last)
			if first != tile || begin != lo || end != hi {
				t.Fatalf("%v: tiles %d to %d are [%d, %d), not [%d, %d)", shape, first, last, begin, end, lo, hi)
			}
			at, tile = hi, last+1
		}
		if at != x.Elements() || tile != r.tiles.Count() {
			t.Fatalf("%v: %d of %d elements, %d of %d tiles", shape, at, x.Elements(), tile, r.tiles.Count())
		}
	}
}

// Masks of the first whole tiles are remembered, each by itself; of a tensor that is too large, as many as there is
// room for.
func TestChosen(t *testing.T) {
	for _, shape := range [][]int64{{40000, 7}, {3, 700001}, {1 << 20, 1024}} {
		x := format.Tensor{Shape: shape}
		j := &fuse.Job{Shape: shape, Tiling: fuse.NewTiling(x.Elements(), x.RowLen()), Models: make([]fuse.Contribution, 3)}
		rows := rowsOf(j)
		c := newChosen(rows, []bool{true, false, true})
		room := int64(len(c.known) + 4*len(c.models[0]) + 4*len(c.models[2]))
		if said := ByRank.Bytes(j); room > said || said > chosenBytes {
			t.Fatalf("%v: takes %d bytes, and was to take %d of %d", shape, room, said, chosenBytes)
		}
		tiles := min(rows.whole.Count(), int64(len(c.known))+2)
		begin := func(m *rowMemory, i int64) {
			m.begin(&fuse.Span{Tiling: rows.whole, First: i, Last: i + 1, Models: make([]fuse.Operand, 3)})
			for k := range m.kept {
				m.kept[k] = grown(m.kept[k], words(m.hi-m.lo)+1)
			}
		}
		var m rowMemory
		for i := range tiles {
			begin(&m, i)
			if c.recall(&m, i) {
				t.Fatalf("%v: tile %d is known before it is seen", shape, i)
			}
			for k := range m.kept {
				for w := range m.kept[k] {
					m.kept[k][w] = uint32(mix(uint64(i)<<32 + uint64(k)<<24 + uint64(w)))
				}
			}
			c.note(&m, i)
		}
		for i := range tiles {
			begin(&m, i)
			for k := range m.kept {
				clear(m.kept[k])
			}
			if got, want := c.recall(&m, i), i < int64(len(c.known)); got != want {
				t.Fatalf("%v: tile %d of %d is known: %v", shape, i, len(c.known), got)
			} else if !got {
				continue
			}
			for k, mask := range m.kept {
				if int64(len(mask)) != words(m.hi-m.lo)+1 {
					t.Fatalf("%v: the mask of tile %d has %d words", shape, i, len(mask))
				}
				for w, got := range mask {
					want := uint32(mix(uint64(i)<<32 + uint64(k)<<24 + uint64(w)))
					if k == 1 {
						want = 0 // that model has no mask
					}
					if got != want {
						t.Fatalf("%v: model %d, tile %d, word %d: %#x, want %#x", shape, k, i, w, got, want)
					}
				}
			}
		}
	}
}
