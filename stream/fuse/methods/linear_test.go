package methods

import (
	"bytes"
	"slices"
	"testing"

	"weld/format"
	"weld/stream/fuse"
	"weld/stream/fuse/fusetest"
)

// sums is a case of the linear methods.
type sums struct {
	method    string
	weights   []float64
	normalize bool
	lambda    float64
}

// in gives the jobs the parameters of a case.
func (l sums) in(jobs fuse.List) fuse.List {
	normalize := map[bool]float64{true: 1}[l.normalize]
	var list []fuse.Job
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
		in := fusetest.Fixture(uint64(dtype)+100, dtype, 3)
		for _, l := range []sums{
			{method: "linear", weights: []float64{1, 1, 1}, normalize: true},
			{method: "linear", weights: []float64{0.5, 0.3, -0.1}},
			{method: "task_arithmetic", weights: []float64{0.5, 0.3, -0.1}, lambda: 0.7},
			{method: "task_arithmetic", weights: []float64{2, 1, 1}, lambda: 1, normalize: true},
			{method: "task_arithmetic", weights: []float64{1, -1, 0}, lambda: 1, normalize: true},
		} {
			got := in.Drive(t, merging(l.method, l.in(in.Jobs), fuse.StopNonfinite), 5)
			for j := range in.Jobs {
				var want []byte
				if dtype == format.F64 {
					want = fusetest.Encoded(dtype, linearReference[float64](l, in, j))
				} else {
					want = fusetest.Encoded(dtype, linearReference[float32](l, in, j))
				}
				if !bytes.Equal(got[j], want) {
					t.Errorf("%v %+v: tensor %d differs from the reference", dtype, l, j)
				}
			}
		}
	}
}

func linearReference[T fusetest.Real](l sums, in *fusetest.Merge, j int) []T {
	base := fusetest.Decoded[T](in.Base[j])
	out := make([]T, len(base))
	deltas := l.method == "task_arithmetic"
	var weights float64
	for m, w := range l.weights {
		weights += w
		theta := fusetest.Decoded[T](in.Models[m][j])
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
