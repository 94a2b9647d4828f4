package gather

import (
	"slices"
	"testing"
)

// TestStretches finds elements that lie in rows, and no others.
func TestStretches(t *testing.T) {
	l := &Layout{Shape: []int64{10}, Width: 4, Pieces: []Piece{
		{Source: 0, Begin: 100, Offset: []int64{0}, Shape: []int64{4}, Strides: []int64{1}},
		{Source: 1, Begin: 200, Offset: []int64{4}, Shape: []int64{4}, Strides: []int64{1}},
		{Source: 2, Begin: 300, Offset: []int64{8}, Shape: []int64{2}, Strides: []int64{2}},
	}}
	for _, x := range []struct {
		first, count int64
		want         []Stretch
	}{
		{0, 4, []Stretch{{0, 100, 4}}}, {1, 2, []Stretch{{0, 104, 2}}}, {3, 2, []Stretch{{0, 112, 1}, {1, 200, 1}}}, {7, 1, []Stretch{{1, 212, 1}}},
		{2, 8, []Stretch{{0, 108, 2}, {1, 200, 4}}}, {8, 2, nil}, {4, 0, nil}, {12, 1, nil},
	} {
		var got []Stretch
		l.Stretches(x.first, x.count, func(s Stretch) { got = append(got, s) })
		if !slices.Equal(got, x.want) {
			t.Errorf("[%d, +%d): %v, want %v", x.first, x.count, got, x.want)
		}
	}
	square := &Layout{Shape: []int64{2, 2}, Width: 4, Pieces: []Piece{{Offset: []int64{0, 0}, Shape: []int64{2, 2}, Strides: []int64{2, 1}}}}
	square.Stretches(0, 4, func(Stretch) { t.Error("a stretch of two dimensions") })
	(&Layout{Shape: []int64{0}, Width: 4}).Stretches(0, 1, func(Stretch) { t.Error("a stretch of nothing") })
}
