package vec

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// compareWeigh demands of each element what its definition says.
func compareWeigh[T Float](t *testing.T, dst []float32, x []T, w float64) {
	t.Helper()
	Weigh(dst, x, w)
	for i, got := range dst {
		want := float32(math.Abs(float64(x[i])) * w)
		if want != want || want > math.MaxFloat32 {
			want = math.MaxFloat32
		}
		if !sameBits(got, want) {
			t.Fatalf("%d of %d: |%x|·%x is %x, want %x", i, len(dst), x[i], w, got, want)
		}
	}
}

// Every length from odd offsets, special values with special weights, pages that must not be touched.
func TestWeigh(t *testing.T) {
	const size = 1 << 13
	r := rand.New(rand.NewPCG(71, 72))
	x, dst := floats[float32](guarded(4*size)), floats[float32](guarded(4*size))
	copy(x, mixture[float32](size, 73))
	weights := []float64{0, 1, 1e-300, 1e-8, 0.3, math.Pi, 1e300, math.MaxFloat32, math.Inf(1), math.NaN()}
	levelsFrom(Portable, t, func(t *testing.T) {
		for n := range 201 {
			w := r.ExpFloat64()
			Fill(dst, -1)
			compareWeigh(t, dst[:n], x[r.IntN(16):], w)
			if slices.ContainsFunc(dst[n:], func(v float32) bool { return v != -1 }) {
				t.Fatalf("of %d: wrote around", n)
			}
			compareWeigh(t, dst[size-n:], x[size-n:], w)
		}
		for _, w := range weights {
			compareWeigh(t, dst, x, w)
			compareWeigh(t, dst[:len(specials())*4], slices.Repeat(specials(), 4), w)
			compareWeigh(t, dst[:300], mixture[float64](300, 74), w)
		}
	})
}
