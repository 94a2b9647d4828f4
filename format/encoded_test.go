package format

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestDistance(t *testing.T) {
	r := rand.New(rand.NewPCG(81, 82))
	special := []float64{0, math.Copysign(0, -1), 1, math.Inf(1), math.Inf(-1), math.NaN(), 60000, -60000}
	for _, pair := range [][2]DType{{BF16, BF16}, {F32, F32}, {F16, BF16}, {BF16, F32}} {
		const n = 500
		bytes := func(d DType) ([]byte, []float32) {
			x, data, decoded := make([]float64, n), make([]byte, n*d.Bits()/8), make([]float32, n)
			for i := range x {
				if x[i] = r.NormFloat64(); i%3 == 0 {
					x[i] = special[r.IntN(len(special))]
				}
			}
			Encode(d, data, x)
			Decode(d, decoded, data)
			return data, decoded
		}
		x, theta := bytes(pair[0])
		b, base := bytes(pair[1])
		got := make([]float32, n)
		Distance(got, pair[0], x, pair[1], b, make([]float32, n))
		for i, d := range got {
			want := float32(math.Abs(float64(theta[i] - base[i])))
			switch {
			case math.Float32bits(theta[i]) == math.Float32bits(base[i]):
				want = 0
			case want-want != 0:
				want = math.MaxFloat32
			}
			if d != want {
				t.Errorf("%v and %v: from %g to %g it is %g, want %g", pair[0], pair[1], base[i], theta[i], d, want)
			}
		}
	}
}

// What several models are summed in one pass gives the bits of one after the other, and what a pass is not written for is left alone.
func TestSumsOfModels(t *testing.T) {
	const n = 300
	r := rand.New(rand.NewPCG(83, 84))
	w := []float32{0.3, -1.7, 0.25}
	for _, d := range []DType{BF16, F32, F16} {
		data, decoded := make([][]byte, 4), make([][]float32, 4)
		for k := range data {
			x := make([]float64, n)
			for i := range x {
				x[i] = r.NormFloat64()
			}
			x[k] = math.Inf(1)
			data[k], decoded[k] = make([]byte, n*d.Bits()/8), make([]float32, n)
			Encode(d, data[k], x)
			copy(data[k][:2], data[0]) // an element that is the same in all
			Decode(d, decoded[k], data[k])
		}
		base, models, buffer := decoded[3], data[:3], make([]float32, n)
		for name, c := range map[string]struct {
			fused func(dst []float32) bool
			steps func(dst []float32)
		}{
			"Sum": {func(dst []float32) bool { return Sum(d, dst, models, w) }, func(dst []float32) {
				Scale(d, dst, models[0], w[0])
				Axpy(d, dst, w[1], models[1], buffer)
				Axpy(d, dst, w[2], models[2], buffer)
			}},
			"AddDeltas": {func(dst []float32) bool { return AddDeltas(d, dst, data[3], 0.9, models, w) }, func(dst []float32) {
				for k, x := range models {
					AxpyDelta(d, dst, w[k], x, base, buffer)
				}
				for i, v := range dst {
					dst[i] = base[i] + float32(0.9*v)
				}
			}},
			"MulAbsDelta": {func(dst []float32) bool { return DirectProducts(d) && !MulAbsDelta(dst, data[0], data[3], data[1]) }, func(dst []float32) {
				Delta(d, dst, data[0], base)
				MulAbsBy(dst, dst, d, data[1], buffer)
			}},
			"MulAbs": {func(dst []float32) bool { return !MulAbs(dst, d, data[0], d, data[1], buffer) }, func(dst []float32) {
				MulAbsBy(dst, decoded[0], d, data[1], buffer)
			}},
			"DeltaMulAbs": {func(dst []float32) bool {
				return DirectProducts(d) && !DeltaMulAbs(make([]float32, n), dst, data[0], base, data[1])
			}, func(dst []float32) {
				Delta(d, dst, data[0], base)
				MulAbsBy(dst, dst, d, data[1], buffer)
			}},
			"MulAbsBy": {func(dst []float32) bool { return !MulAbsBy(dst, base, d, data[1], buffer) }, func(dst []float32) {
				for i := range dst {
					dst[i] = float32(math.Abs(float64(base[i] * decoded[1][i])))
				}
			}},
		} {
			got, want := make([]float32, n), make([]float32, n)
			done := c.fused(got)
			if done {
				c.steps(want)
			}
			for i, x := range got {
				if math.Float32bits(x) != math.Float32bits(want[i]) && (x == x || want[i] == want[i]) {
					t.Errorf("%s of %v: element %d is %g, want %g", name, d, i, x, want[i])
				}
			}
			if fused := d == BF16 || name == "MulAbsBy" || name == "MulAbs"; done != fused {
				t.Errorf("%s of %v: %v", name, d, done)
			}
		}
		wide := make([]float64, n)
		if Sum(d, wide, models, make([]float64, 3)) || AddDeltas(d, wide, data[3], 1, models, make([]float64, 3)) {
			t.Errorf("%v summed in float64", d)
		}
	}
}
