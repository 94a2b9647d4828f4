package fuse_test

import (
	"testing"

	"weld/format"
	"weld/stream/fuse"
)

func TestTilingCoversEveryElementOnce(t *testing.T) {
	for _, shape := range [][]int64{{}, {1}, {8191}, {8193}, {100000}, {3, 8192}, {3, 8193}, {2, 100000}, {7, 5}, {5000, 3}, {0, 4}, {4, 0}, {2, 3, 5000}} {
		x := format.Tensor{Shape: shape}
		tiling := fuse.NewTiling(x.Elements(), x.RowLen())
		at := int64(0)
		for i := range tiling.Count() {
			lo, hi := tiling.Range(i)
			if lo != at || hi <= lo || hi-lo > fuse.TileElements {
				t.Fatalf("%v: tile %d is [%d, %d) after %d", shape, i, lo, hi, at)
			}
			if row := tiling.RowLen(); !tiling.LongRows() && (lo%row != 0 || hi%row != 0) || tiling.LongRows() && lo/row != (hi-1)/row {
				t.Fatalf("%v: tile %d [%d, %d) cuts rows of %d", shape, i, lo, hi, row)
			}
			at = hi
		}
		if at != x.Elements() {
			t.Fatalf("%v: tiles end at %d of %d", shape, at, x.Elements())
		}
	}
}
