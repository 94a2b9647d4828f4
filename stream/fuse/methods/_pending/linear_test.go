package fuse

import (
	"bytes"
	"slices"
	"testing"

	"weld/format"
)

// sums is a case of the linear methods.
type sums struct {
	method    string
	weights   []float64
	normalize bool
	lambda    float64
}

// in gives the jobs the parameters of a case.
func (l sums) in(jobs List) List {
	normalize := map[bool]float64{true: 1}[l.normalize]
	var list []Job
	for _, j := range jobs {
		j.Params = Params{"normalize": normalize, "lambda": l.lambda}
		j.Models = slices.Clone(j.Models)
		for m := range j.Models {
			j.Models[m].Params = Params{"weight": l.weights[m]}
		}
		list = append(list, j)
	}
	return list
}

func TestLinearEqualsReference(t *testing.T) {
	for _, dtype := range []format.DType{format.F32, format.BF16, format.F64} {
		in := fixture(uint64(dtype)+100, dtype, 3)
		for _, l := range []sums{
			{method: "linear", weights: []float64{1, 1, 1}, normalize: true},
			{method: "linear", weights: []float64{0.5, 0.3, -0.1}},
			{method: "task_arithmetic", weights: []float64{0.5, 0.3, -0.1}, lambda: 0.7},
			{method: "task_arithmetic", weights: []float64{2, 1, 1}, lambda: 1, normalize: true},
			{method: "task_arithmetic", weights: []float64{1, -1, 0}, lambda: 1, normalize: true},
		} {
			got := in.drive(t, Local(l.method, l.in(in.jobs), StopNonfinite), 5)
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

func linearReference[T real](l sums, in *inputs, j int) []T {
	base := decoded[T](in.base[j])
	out := make([]T, len(base))
	deltas := l.method == "task_arithmetic"
	var weights float64
	for m, w := range l.weights {
		weights += w
		theta := decoded[T](in.models[m][j])
		for i := range out {
			if deltas {
				theta[i] -= base[i]
			}
			out[i] += T(T(w) * theta[i])
		}
	}
	for i := range out {
		if l.normalize && weights != 0 {
			out[i] /= T(weights)
		}
		if deltas {
			out[i] = base[i] + T(T(l.lambda)*out[i])
		}
	}
	return out
}

// What mergekit makes of the same models.
func TestLinearGolden(t *testing.T) {
	w := func(x float64) Params { return Params{"weight": x} }
	golden(t, "linear", "linear", "", []goldenModel{{"a", w(0.7)}, {"b", w(0.3)}}, Params{"normalize": 1}, 2e-6, nil)
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
