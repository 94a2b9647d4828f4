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
