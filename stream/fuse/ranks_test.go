package fuse

import (
	"testing"

	"weld/format"
)

func TestRowsAreWhole(t *testing.T) {
	for _, shape := range [][]int64{{}, {1}, {3, 0}, {8193}, {100000}, {262144}, {262145}, {1000003}, {3, 700001}, {7, 5}, {5000, 3}, {200, 8192}, {11, 28672}, {4, 5, 70}, {3, 4, 9000}} {
		x := format.Tensor{Shape: shape}
		r := rowsOf(&Job{Shape: shape, Tiling: NewTiling(x.Elements(), x.RowLen())})
		at, tile := int64(0), int64(0)
		for i := range r.whole.Count() {
			lo, hi := r.whole.Range(i)
			if lo != at || hi <= lo || hi-lo > longestRow {
				t.Fatalf("%v: whole tile %d is [%d, %d) after %d", shape, i, lo, hi, at)
			}
			if r.length <= longestRow && (lo%r.length != 0 || hi%r.length != 0) || r.length > longestRow && lo/r.length != (hi-1)/r.length {
				t.Fatalf("%v: [%d, %d) cuts rows of %d", shape, lo, hi, r.length)
			}
			first, last := r.tileOf(lo), r.tileOf(hi-1)
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
