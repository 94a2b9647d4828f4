package methods

import (
	"math"
	"math/rand/v2"
	"testing"

	"weld/format"
	"weld/stream/fuse"
	"weld/stream/fuse/fusetest"
)

func TestNearswapEqualsReference(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, limit := range []float64{-1, 0, 1e-7, 1e-4, 0.1, 3} {
		for dtype, tolerance := range map[format.DType]float64{format.F32: 1e-6, format.BF16: 0x1p-8, format.F64: 1e-14} {
			base, thetas := sphereModels(r, "tuned", 20000, 1)
			for i := range 100 {
				thetas[0][i] = base[i]
				base[i+100] = 1e-3
				thetas[0][i+100] = 1e-3 + 1e-7*r.NormFloat64()
			}
			in := tensorOf(dtype, []int64{20000}, base, thetas, Params{"t": limit}, nil)
			got := fusetest.Unpack(fuse.Operand{DType: dtype, Data: in.Drive(t, merging("nearswap", in.Jobs, fuse.StopNonfinite), 3)[0]})
			a, b := fusetest.Unpack(in.Base[0]), fusetest.Unpack(in.Models[0][0])
			for i := range got {
				w := max(0, min(1, limit/max(math.Abs(a[i]-b[i]), 1e-6)))
				if want := w*b[i] + (1-w)*a[i]; !(math.Abs(got[i]-want) <= tolerance*max(1, math.Abs(want))) {
					t.Fatalf("t %v, %v: element %d is %v, want %v", limit, dtype, i, got[i], want)
				}
			}
		}
	}
}
