package vec

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestInside(t *testing.T) {
	const most = 300
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	special := []float32{0, float32(math.Copysign(0, -1)), 1e-45, 1, nan, inf, math.MaxFloat32, -1, -inf}
	bounds := [][2]float32{{0, 1}, {0.4, 0.5}, {0, inf}, {inf, inf}, {1, 0}, {0, 1e-45}, {0, 0}, {0.5, nan}, {nan, 0.5}, {-inf, -1}}
	from := floats[float32](guarded(4 * most))
	levelsFrom(Portable, t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		for n := range most {
			for _, b := range bounds {
				s := from[most-n:]
				for i := range s {
					if s[i] = r.Float32(); r.IntN(9) == 0 {
						s[i] = special[r.IntN(len(special))]
					}
				}
				words := (n + 63) / 64
				want, count := make([]uint64, words, words+1), 0
				for i, v := range s {
					if v >= b[0] && v < b[1] {
						want[i/64] |= 1 << (i % 64)
						count++
					}
				}
				marks := slices.Repeat([]uint64{0xdeadbeef}, words+1)
				if got := Inside(marks, s, b[0], b[1]); got != count || !slices.Equal(marks[:words], want) {
					t.Fatalf("n %d, %v: %d %x, want %d %x", n, b, got, marks[:words], count, want)
				}
				if marks[words] != 0xdeadbeef {
					t.Fatalf("n %d, %v: wrote behind", n, b)
				}
			}
		}
	})
}
