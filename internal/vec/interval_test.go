package vec

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestBetween(t *testing.T) {
	const most = 150
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	special := []float32{0, float32(math.Copysign(0, -1)), 1e-45, 1, nan, inf, math.MaxFloat32, -1, -inf}
	bounds := [][2]float32{{0, 1}, {0.4, 0.5}, {0, inf}, {inf, inf}, {1, 0}, {0, 1e-45}, {0, 0}, {0.5, nan}, {nan, 0.5}, {-inf, -1}}
	from, to := floats[float32](guarded(4*most)), floats[float32](guarded(4*most))
	levelsFrom(Portable, t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		for n := range most {
			for _, b := range bounds {
				s, dst := from[most-n:], to[most-n:]
				for i := range s {
					if s[i] = r.Float32(); r.IntN(9) == 0 {
						s[i] = special[r.IntN(len(special))]
					}
				}
				var want []float32
				over := 0
				for _, v := range s {
					if v >= b[0] && v < b[1] {
						want = append(want, v)
					}
					if v >= b[1] {
						over++
					}
				}
				if inside, above := Between(dst, s, b[0], b[1]); !slices.Equal(dst[:inside], want) || above != over {
					t.Fatalf("n %d, %v: %v and %d, want %v and %d", n, b, dst[:inside], above, want, over)
				}
				if inside, above := Between(s, s, b[0], b[1]); !slices.Equal(s[:inside], want) || above != over {
					t.Fatalf("n %d, %v in place: %v and %d, want %v and %d", n, b, s[:inside], above, want, over)
				}
				longer := slices.Repeat([]float32{-1}, n+1)
				if Between(longer, s, b[0], b[1]); longer[n] != -1 {
					t.Fatalf("n %d, %v: wrote behind", n, b)
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
