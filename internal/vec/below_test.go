package vec

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// Every index of rows of every length, up to a page that must not be touched: the rank is the index that a stable sort
// gives.
func TestBelow(t *testing.T) {
	const most = 200
	elements := guardedOf[float32](most)
	r := rand.New(rand.NewPCG(81, 82))
	levelsFrom(Portable, t, func(t *testing.T) {
		for n := 1; n <= most; n++ {
			for _, kinds := range []int{1, 3, n} {
				s, order := elements[most-n:], make([]int, n)
				ranked(r, s)
				for i := range s {
					s[i], order[i] = s[r.IntN(min(kinds, i+1))], i
				}
				slices.SortStableFunc(order, func(a, b int) int {
					switch {
					case s[a] < s[b]:
						return -1
					case s[a] > s[b]:
						return 1
					}
					return 0
				})
				for rank, i := range order {
					if got := Below(s, i); got != rank {
						t.Fatalf("%d scores of at most %d kinds: %g at index %d has rank %d, want %d", n, kinds, s[i], i, got, rank)
					}
				}
			}
		}
	})
}
