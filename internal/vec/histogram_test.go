package vec

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestHistogram(t *testing.T) {
	r := rand.New(rand.NewPCG(14, 15))
	s := []float32{0, float32(math.Copysign(0, -1)), math.SmallestNonzeroFloat32, math.MaxFloat32, 1, 1, 1 + 0x1p-23, 1 + 0x1p-7}
	for range 500 {
		s = append(s, float32(math.Abs(r.NormFloat64())), 1+float32(r.IntN(9))*0x1p-23)
	}
	for n := range 68 {
		testHistogram(t, s[:n])
	}
	testHistogram(t, s)
}

func testHistogram(t *testing.T, s []float32) {
	t.Helper()
	ordered := slices.Clone(s)
	slices.Sort(ordered)
	high := make([]uint32, 1<<15)
	HistogramHigh(high, s)
	rank := 0
	low := make([]uint32, 1<<16)
	for prefix, count := range high {
		if count == 0 {
			continue
		}
		clear(low)
		base := uint32(prefix) << 16
		inside := make([]float32, len(s))
		n, _ := Between(inside, s, math.Float32frombits(base), math.Float32frombits(base+1<<16))
		HistogramKeys(low, inside[:n], base, 0)
		for rest, count := range low {
			for range count {
				bits := uint32(prefix)<<16 | uint32(rest)
				if got := math.Float32frombits(bits); rank >= len(ordered) || got != ordered[rank] {
					t.Fatalf("score %d of %d is not %g", rank, len(s), got)
				}
				rank++
			}
		}
	}
	if rank != len(s) {
		t.Fatalf("counted %d of %d", rank, len(s))
	}
}
