package fuse_test

import (
	"testing"

	"weld/format"
	"weld/stream/fuse"
)

// shapes have vectors, short and long rows, lines that are cut by tiles, and next to nothing.
var shapes = [][]int64{
	{}, {1}, {5}, {8192}, {8193}, {30011}, {1, 1}, {7, 1}, {3, 5}, {211, 97}, {2, 8192}, {3, 9001}, {2, 30001},
	{40, 2, 7}, {3, 2000, 3}, {5, 3, 7001}, {2, 2, 2, 9001}, {9, 1024}, {3, 7, 1200}, {2, 11, 1500}, {0, 4}, {4, 0},
}

// Lines are what they are whatever the tiles: each element is in one segment of its line.
func TestLines(t *testing.T) {
	for _, shape := range shapes {
		x := format.Tensor{Shape: shape}
		j := &fuse.Job{Shape: shape, Tiling: fuse.NewTiling(x.Elements(), x.RowLen())}
		l, at, cut, lines := fuse.LinesOf(j), int64(0), false, map[int64]bool{}
		for i := range j.Tiling.Count() {
			lo, hi := j.Tiling.Range(i)
			partial, remembered := 0, 0
			for g := range l.Of(fuse.Tile{Index: i, Lo: lo, Hi: hi}) {
				begin, end := lo+int64(g.Lo), lo+int64(g.Hi)
				if begin != at || end <= begin || begin/l.Length != g.Line || (end-1)/l.Length != g.Line || g.Whole != (end-begin == l.Length) {
					t.Fatalf("%v: tile %d: %+v", shape, i, g)
				}
				if at = end; !g.Whole {
					partial++
				}
				if l.Remembers(g) {
					remembered++
					lines[g.Line] = true
				}
			}
			if at != hi || partial > 2 || remembered > fuse.MostRemembered {
				t.Fatalf("%v: tile %d ends at %d of %d, with %d parts of lines", shape, i, at, hi, partial)
			}
			cut = cut || partial > 0
		}
		if at != x.Elements() || cut != l.Cut() || int64(len(lines)) > l.Remembered() {
			t.Fatalf("%v: %d elements, cut %v, %d lines of %d", shape, at, l.Cut(), len(lines), l.Remembered())
		}
	}
}
