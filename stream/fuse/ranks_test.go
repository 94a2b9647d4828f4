package fuse

import (
	"math"
	"math/rand/v2"
	"slices"
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

func TestRowSort(t *testing.T) {
	r := rand.New(rand.NewPCG(61, 62))
	var m rowMemory
	for _, n := range []int{1, 2, 255, 256, 1000, 9000} {
		for _, distinct := range []int{1, 3, 1 << 30} {
			x := make([]float32, n)
			for i := range x {
				x[i] = float32(math.Exp(0.001 * float64(r.IntN(distinct)%50000)))
			}
			x[r.IntN(n)] = 0
			x[r.IntN(n)] = 7
			want := make([]int, n)
			for i := range want {
				want[i] = i
			}
			slices.SortStableFunc(want, func(a, b int) int {
				return int(math.Float32bits(x[a])) - int(math.Float32bits(x[b]))
			})
			if !m.bins.sort(x) {
				t.Fatal("all are 0")
			}
			for c := range m.bins.marked {
				m.bins.marked[c] = n > 300 || r.IntN(3) > 0
			}
			rank := make([]int, n)
			for i, at := range want {
				rank[at] = i
			}
			marked := 0
			for _, v := range x {
				if m.bins.marked[m.bins.of(v)] {
					marked++
				}
			}
			for i, got := range m.ranks(x) {
				marked--
				if rank[i] != int(got) {
					t.Fatalf("%d scores: %d has rank %d, want %d", n, i, got, rank[i])
				}
			}
			if marked != 0 {
				t.Fatalf("%d ranks are missing", marked)
			}
		}
	}
}
