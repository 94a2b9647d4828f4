package scoring

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// kthLargest is the definition: sort everything.
func kthLargest(s []float32, k int64) float32 {
	sorted := slices.Clone(s)
	slices.Sort(sorted)
	return sorted[int64(len(s))-k]
}

// find runs a quantile over tiles spread over several workers' counts.
func find(r *rand.Rand, s []float32, k int64) float32 {
	q := NewQuantile(k)
	counts := []*Counts{NewCounts(), NewCounts(), NewCounts()}
	for again := true; again; again = q.Next() {
		for lo := 0; lo < len(s); {
			hi := min(len(s), lo+1+r.IntN(100))
			c := counts[r.IntN(len(counts))]
			q.Count(c, s[lo:hi])
			if r.IntN(3) == 0 {
				q.Add(c)
			}
			lo = hi
		}
		for _, c := range counts {
			q.Add(c)
		}
	}
	return q.Value()
}

// samples are score distributions that have broken quantiles before.
func samples(r *rand.Rand, n int) map[string][]float32 {
	fill := func(f func(i int) float32) []float32 {
		s := make([]float32, n)
		for i := range s {
			s[i] = f(i)
		}
		return s
	}
	return map[string][]float32{
		"uniform":     fill(func(int) float32 { return r.Float32() }),
		"log-normal":  fill(func(int) float32 { return float32(math.Exp(8 * r.NormFloat64())) }),
		"zeros":       fill(func(int) float32 { return 0 }),
		"constant":    fill(func(int) float32 { return 0.7 }),
		"two values":  fill(func(int) float32 { return float32(r.IntN(2)) }),
		"mostly zero": fill(func(int) float32 { return max(0, r.Float32()-0.95) }),
		"denormal":    fill(func(int) float32 { return math.Float32frombits(r.Uint32N(1 << 18)) }),
		"one bin":     fill(func(int) float32 { return math.Float32frombits(0x3f800000 | r.Uint32N(1<<16)) }),
		"any bits":    fill(func(int) float32 { return math.Float32frombits(r.Uint32N(0x7f800000)) }),
		"extremes":    fill(func(i int) float32 { return []float32{0, 1e-45, math.MaxFloat32}[i%3] }),
	}
}

func TestQuantileEqualsSort(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 2, 3, 10, 1000} {
		for name, s := range samples(r, n) {
			ranks := []int64{1, 2, int64(n) / 2, int64(n) - 1, int64(n)}
			for _, d := range []float64{0.001, 0.2, 0.5, 0.999} {
				ranks = append(ranks, Rank(d, int64(n)))
			}
			for _, k := range ranks {
				if k < 1 || k > int64(n) {
					continue
				}
				got, want := find(r, s, k), kthLargest(s, k)
				if math.Float32bits(got) != math.Float32bits(want) {
					t.Errorf("%s, n %d: the %d-th largest is %v, got %v", name, n, k, want, got)
				}
			}
		}
	}
}

func TestQuantileAddRepeated(t *testing.T) {
	q := NewQuantile(5_000_000_001)
	for again := true; again; again = q.Next() {
		q.AddRepeated(2, 5_000_000_000) // more than a uint32 counts
		q.AddRepeated(1, 3)
		q.AddRepeated(0.5, 1)
	}
	if q.Value() != 1 {
		t.Errorf("got %v, want 1", q.Value())
	}
}

func TestRank(t *testing.T) {
	for _, test := range []struct {
		density float64
		n, want int64
	}{{0, 10, 0}, {1, 10, 10}, {0.2, 10, 2}, {0.21, 10, 3}, {1e-9, 10, 1}, {0.5, 0, 0}, {0.5, 1, 1}} {
		if got := Rank(test.density, test.n); got != test.want {
			t.Errorf("Rank(%v, %d) = %d, want %d", test.density, test.n, got, test.want)
		}
	}
}

func TestCutKeepsTiesAndDropsZeros(t *testing.T) {
	s := []float32{0, 1, 2, 2, 3, 0}
	for _, test := range []struct {
		cut  Cut
		want []float32
	}{
		{Cut{T: 2}, []float32{0, 0, 12, 13, 14, 0}},
		{Cut{T: 0}, []float32{0, 11, 12, 13, 14, 0}}, // a score of 0 is never kept
		{CutAll, []float32{10, 11, 12, 13, 14, 15}},
		{CutNone, []float32{0, 0, 0, 0, 0, 0}},
	} {
		x := []float32{10, 11, 12, 13, 14, 15}
		kept := Select(test.cut, x, s)
		if !slices.Equal(x, test.want) {
			t.Errorf("%+v kept %v, want %v", test.cut, x, test.want)
		}
		if n := test.cut.Kept(s); n != kept {
			t.Errorf("%+v: Select says %d, Kept says %d", test.cut, kept, n)
		}
	}
}
