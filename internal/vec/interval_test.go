package vec

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestBetween(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	special := []float32{0, float32(math.Copysign(0, -1)), 1e-45, 1, nan, inf, math.MaxFloat32}
	everyLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		for n := range 150 {
			for _, bounds := range [][2]float32{{0, 1}, {0.4, 0.5}, {0, inf}, {inf, inf}, {1, 0}, {0, 1e-45}} {
				s := make([]float32, n)
				for i := range s {
					if s[i] = r.Float32(); r.IntN(9) == 0 {
						s[i] = special[r.IntN(len(special))]
					}
				}
				var want []float32
				for _, v := range s {
					if v >= bounds[0] && v < bounds[1] {
						want = append(want, v)
					}
				}
				dst := slices.Repeat([]float32{-1}, n+1)
				if got := Between(dst[:n], s, bounds[0], bounds[1]); !slices.Equal(dst[:got], want) || dst[n] != -1 {
					t.Fatalf("n %d, %v: %v, want %v", n, bounds, dst[:got], want)
				}
				if got := Between(s, s, bounds[0], bounds[1]); !slices.Equal(s[:got], want) {
					t.Fatalf("n %d, %v in place: %v, want %v", n, bounds, s[:got], want)
				}
			}
		}
	})
}

func TestKeys(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	s := make([]float32, 1000)
	for i := range s {
		s[i] = 1 + r.Float32()
	}
	s[0] = 1
	base := math.Float32bits(1)
	keys, counts, want := make([]uint32, len(s)), make([]uint32, 1<<8), make([]uint32, 1<<8)
	BitKeys(keys, s, base, 15)
	HistogramKeys(counts, s, base, 15)
	for i, v := range s {
		if k := (math.Float32bits(v) - base) >> 15; keys[i] != k {
			t.Fatalf("key of %v is %d, want %d", v, keys[i], k)
		}
		want[keys[i]]++
	}
	if !slices.Equal(counts, want) {
		t.Error("HistogramKeys counts otherwise than BitKeys")
	}
	zero := []float32{float32(math.Copysign(0, -1))}
	BitKeys(keys[:1], zero, 0, 0)
	if keys[0] != 0 {
		t.Errorf("key of -0 is %d", keys[0])
	}
}
