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

// find runs a quantile over tiles spread over several workers' counts, and counts the
// passes.
func find(r *rand.Rand, s []float32, k int64, sc Scale, bracket *Bracket) (float32, int) {
	q := NewQuantile(k)
	if bracket != nil {
		q.Narrow(*bracket)
	}
	passes := 0
	counts := []*Counts{NewCounts(), NewCounts(), NewCounts()}
	for again := true; again; again = q.Next() {
		passes++
		w := q.Window(sc)
		for lo := 0; lo < len(s); {
			hi := min(len(s), lo+1+r.IntN(100))
			c := counts[r.IntN(len(counts))]
			q.Count(c, s[lo:hi], w)
			if r.IntN(200) == 0 || c.Full(100) {
				q.Add(c)
			}
			lo = hi
		}
		for _, c := range counts {
			q.Add(c)
		}
	}
	return q.Value(), passes
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
				want := kthLargest(s, k)
				got, passes := find(r, s, k, Identity, nil)
				if math.Float32bits(got) != math.Float32bits(want) || passes > 2 {
					t.Errorf("%s, n %d: the %d-th largest is %v, got %v in %d passes", name, n, k, want, got, passes)
				}
				sc := []Scale{{Divisor: 3}, {Divisor: 1e-3}, {Shift: 1e-3, Divisor: 0.7}, {}}[r.IntN(4)]
				raw := slices.Clone(s)
				for i := range raw {
					raw[i] = min(max(raw[i], sc.Shift), 1e30) // nothing is below the minimum, nothing overflows
				}
				norm := slices.Clone(raw)
				sc.Apply(norm)
				want = kthLargest(norm, k)
				if got, _ := find(r, raw, k, sc, nil); math.Float32bits(got) != math.Float32bits(want) {
					t.Errorf("%s, n %d, %+v: the %d-th largest is %v, got %v", name, n, sc, k, want, got)
				}
			}
		}
	}
}

// A good bracket makes one pass enough, as long as it has no more bins than there are; a bad one
// costs passes and nothing else.
func TestNarrow(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const n = 100_000
	for name, s := range samples(r, n) {
		sorted := slices.Sorted(slices.Values(s))
		for _, d := range []float64{0.0001, 0.05, 0.2, 0.5, 0.99} {
			k := Rank(d, n)
			want := sorted[n-k]
			for kind, b := range map[string]Bracket{
				"good": {want * 0.99, want * 1.01}, "point": {want, want}, "low": {0, 0}, "high": {math.MaxFloat32, math.MaxFloat32},
				"below": {want * 0.5, want * 0.9}, "above": {want * 1.1, want * 2}, "all": {0, math.MaxFloat32},
			} {
				if b.High > math.MaxFloat32 {
					b.High = math.MaxFloat32
				}
				got, passes := find(r, s, k, Identity, &b)
				if math.Float32bits(got) != math.Float32bits(want) {
					t.Errorf("%s, density %v, %s bracket: %v, want %v", name, d, kind, got, want)
				}
				if kind == "good" && passes > 1 || passes > 4 {
					t.Errorf("%s, density %v, %s bracket: %d passes", name, d, kind, passes)
				}
			}
		}
	}
}

// Masks by raw scores are those by normalised ones.
func TestRawCut(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, sc := range []Scale{Identity, {Divisor: 3}, {Divisor: 1e-30}, {Divisor: 1e30}, {Shift: 0.25, Divisor: 0.3}, {}} {
		for range 200 {
			raw := math.Float32frombits(r.Uint32N(0x7f000000))
			threshold := Threshold{T: sc.One(raw)}
			for step := -3; step <= 3; step++ {
				s := math.Float32frombits(uint32(max(int64(bitsOf(raw))+int64(step), 0)))
				if sc.Shift > s {
					continue
				}
				norm := sc.One(s)
				want := norm >= threshold.T && norm > 0
				if got := threshold.Raw(sc).Kept([]float32{s}) == 1; got != want {
					t.Fatalf("%+v, T %v: raw score %v is kept: %v, want %v", sc, threshold.T, s, got, want)
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
		threshold Threshold
		want      []float32
	}{
		{Threshold{T: 2}, []float32{0, 0, 12, 13, 14, 0}},
		{Threshold{T: 0}, []float32{0, 11, 12, 13, 14, 0}}, // a score of 0 is never kept
		{KeepAll, []float32{10, 11, 12, 13, 14, 15}},
		{KeepNone, []float32{0, 0, 0, 0, 0, 0}},
	} {
		x := []float32{10, 11, 12, 13, 14, 15}
		kept := Select(test.threshold, x, s)
		if !slices.Equal(x, test.want) {
			t.Errorf("%+v kept %v, want %v", test.threshold, x, test.want)
		}
		if n := test.threshold.Kept(s); n != kept {
			t.Errorf("%+v: Select says %d, Kept says %d", test.threshold, kept, n)
		}
	}
}

// What lies beside a bracket touches it, and ends at 0 and below infinity.
func TestBeside(t *testing.T) {
	at := math.Float32frombits
	b := Bracket{at(1000), at(1009)}
	top := math.Float32bits(math.MaxFloat32)
	for _, c := range []struct {
		of     Bracket
		higher bool
		times  int64
		want   Bracket
	}{
		{b, true, 4, Bracket{at(1010), at(1049)}}, {b, false, 4, Bracket{at(960), at(999)}}, {b, false, 1000, Bracket{0, at(999)}},
		{Bracket{0, 0}, false, 4, Bracket{0, 0}}, {Bracket{at(top - 2), at(top - 1)}, true, 4, Bracket{at(top), at(top)}},
	} {
		if got := c.of.Beside(c.higher, c.times); got != c.want {
			t.Errorf("%v, higher %t, %d times: %v, want %v", c.of, c.higher, c.times, got, c.want)
		}
	}
}

// A pass says whether the k-th largest is in its interval, by what is in it and what is above.
func TestWrong(t *testing.T) {
	for k, want := range map[int64][2]bool{1: {true, true}, 3: {true, true}, 4: {}, 5: {}, 6: {true, false}} {
		q := NewQuantile(k)
		q.Narrow(Bracket{1, 2})
		q.AddInside([]float32{2, 4}, Scale{Divisor: 2}, 3)
		if wrong, higher := q.Wrong(); wrong != want[0] || higher != want[1] {
			t.Errorf("k %d: wrong %t, higher %t", k, wrong, higher)
		}
	}
}
