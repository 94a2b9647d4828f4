package fuse

import (
	"bytes"
	"testing"

	"weld/format"
)

func TestLinearEqualsReference(t *testing.T) {
	for _, dtype := range []format.DType{format.F32, format.BF16, format.F64} {
		in := fixture(uint64(dtype)+100, dtype, 3)
		for _, l := range []Linear{
			{Weights: []float64{1, 1, 1}, Normalize: true},
			{Weights: []float64{0.5, 0.3, -0.1}},
			{Weights: []float64{0.5, 0.3, -0.1}, Deltas: true, Lambda: 0.7},
			{Weights: []float64{2, 1, 1}, Deltas: true, Lambda: 1, Normalize: true},
			{Weights: []float64{1, -1, 0}, Deltas: true, Lambda: 1, Normalize: true},
		} {
			got := in.drive(t, l.Method(in.jobs), 5)
			for j := range in.jobs {
				var want []byte
				if dtype == format.F64 {
					want = encoded(dtype, linearReference[float64](l, in, j))
				} else {
					want = encoded(dtype, linearReference[float32](l, in, j))
				}
				if !bytes.Equal(got[j], want) {
					t.Errorf("%v %+v: tensor %d differs from the reference", dtype, l, j)
				}
			}
		}
	}
}

func linearReference[T real](l Linear, in *inputs, j int) []T {
	base := decoded[T](in.base[j])
	out := make([]T, len(base))
	var weights float64
	for m, w := range l.Weights {
		weights += w
		theta := decoded[T](in.models[m][j])
		for i := range out {
			if l.Deltas {
				theta[i] -= base[i]
			}
			out[i] += T(T(w) * theta[i])
		}
	}
	for i := range out {
		if l.Normalize && weights != 0 {
			out[i] /= T(weights)
		}
		if l.Deltas {
			out[i] = base[i] + T(T(l.Lambda)*out[i])
		}
	}
	return out
}

func TestTilingCoversEveryElementOnce(t *testing.T) {
	for _, shape := range [][]int64{{}, {1}, {8191}, {8193}, {100000}, {3, 8192}, {3, 8193}, {2, 100000}, {7, 5}, {5000, 3}, {0, 4}, {4, 0}, {2, 3, 5000}} {
		x := format.Tensor{Shape: shape}
		tiling := NewTiling(x.Elements(), x.RowLen())
		at := int64(0)
		for i := range tiling.Count() {
			lo, hi := tiling.Range(i)
			if lo != at || hi <= lo || hi-lo > TileElements {
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
