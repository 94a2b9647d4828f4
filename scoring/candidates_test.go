package scoring

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// Candidates have the k-th largest and its ties, unless it is outside the bracket or there was too much.
func TestHeld(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		n := 1 + r.IntN(3000)
		scores := make([]float32, n)
		for i := range scores {
			scores[i] = float32(r.IntN(50)) / 7
			if r.IntN(2) == 0 {
				scores[i] = r.Float32() * 7
			}
		}
		sorted := slices.Clone(scores)
		slices.SortFunc(sorted, func(a, b float32) int { return int(bitsOf(b)) - int(bitsOf(a)) })
		low, high := sorted[r.IntN(n)], sorted[r.IntN(n)]
		b := Bracket{min(low, high), max(low, high)}
		inside := 0
		for _, s := range scores {
			if s >= b.Low && s <= b.High {
				inside++
			}
		}
		for _, most := range []int64{int64(n), int64(inside), int64(inside - 1)} {
			h := NewCandidates(b, 10, most)
			runs := []*CandidateRun{new(CandidateRun), new(CandidateRun)}
			for tile := 0; tile*100 < n; tile++ {
				run := runs[r.IntN(2)]
				h.Note(run, int64(tile), scores[tile*100:min(n, tile*100+100)])
				if r.IntN(3) == 0 {
					h.Add(run)
				}
			}
			h.Add(runs[0])
			h.Add(runs[1])
			k := 1 + r.IntN(n)
			want := sorted[k-1]
			value, ties, ok := h.Find(int64(k))
			if known := want >= b.Low && want <= b.High && int64(inside) <= most; ok != known {
				t.Fatalf("%d of %d, %d inside, %d kept at most: found %v", k, n, inside, most, ok)
			}
			if !ok {
				continue
			}
			first, count := slices.Index(sorted, want), int64(0)
			for _, s := range scores {
				if s == want {
					count++
				}
			}
			if value != want || ties != (Ties{int64(k - first), count}) {
				t.Fatalf("%v, %+v; want %v, %d of %d", value, ties, want, k-first, count)
			}
			h.Equal(value, func(tile, got int64) {
				for _, s := range scores[tile*100 : min(n, int(tile)*100+100)] {
					if s == want {
						got--
					}
				}
				if got != 0 {
					t.Fatalf("tile %d: another number of ties", tile)
				}
			})
		}
	}
}
