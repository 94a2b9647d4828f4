package scoring

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
)

// The k-th largest and its ties are those that sorting finds, whatever the scores are, and in memory that served
// before.
func TestFind(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var f KthFinder
	for name, draw := range map[string]func() float32{
		"normal":   func() float32 { return float32(math.Abs(r.NormFloat64())) },
		"equal":    func() float32 { return 1.5 },
		"few":      func() float32 { return float32(r.IntN(5)) },
		"zeros":    func() float32 { return float32(max(0, r.NormFloat64()-2)) },
		"near":     func() float32 { return math.Float32frombits(0x3f800000 + uint32(r.IntN(70000))) },
		"extremes": func() float32 { return []float32{0, math.SmallestNonzeroFloat32, math.MaxFloat32}[r.IntN(3)] },
		"bits":     func() float32 { return math.Float32frombits(uint32(r.IntN(infinityBits))) },
	} {
		for _, n := range []int{1, 2, 7, 1000, 8192, 8193, 20000, 30000, 200000} {
			scores := make([]float32, n)
			for i := range scores {
				scores[i] = draw()
			}
			sorted := slices.Clone(scores)
			slices.Sort(sorted)
			slices.Reverse(sorted)
			before := slices.Clone(scores)
			for _, k := range []int{1, n, 1 + r.IntN(n), 1 + r.IntN(n), (n + 1) / 2} {
				want := sorted[k-1]
				first, last := slices.Index(sorted, want), n-1
				for sorted[last] != want {
					last--
				}
				ties := Ties{int64(k - first), int64(last - first + 1)}
				if got, found := f.find(scores, 0, infinityBits, int64(k)); got != want || found != ties {
					t.Fatalf("%s: %d of %d is %v, %+v; want %v, %+v", name, k, n, got, found, want, ties)
				}
				if got, found := new(KthFinder).Find(scores, int64(k)); got != want || found != ties {
					t.Fatalf("%s: %d of %d is %v, %+v in new memory; want %v, %+v", name, k, n, got, found, want, ties)
				}
			}
			if !slices.Equal(scores, before) {
				t.Fatalf("%s: scores were changed", name)
			}
			if held := 4*cap(f.bins) + 4*cap(f.buffer); held > FindBytes {
				t.Fatalf("takes %d bytes, and was to take %d", held, FindBytes)
			}
		}
	}
}

func BenchmarkFind(b *testing.B) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, n := range []int{1 << 8, 1 << 12, 1 << 16, 1 << 20} {
		scores := make([]float32, n)
		for i := range scores {
			scores[i] = float32(math.Abs(r.NormFloat64()))
		}
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			var f KthFinder
			for b.Loop() {
				f.find(scores, 0, infinityBits, int64(n/2))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/score")
		})
	}
}

func BenchmarkBracket(b *testing.B) {
	r := rand.New(rand.NewPCG(9, 10))
	const n = 1 << 24
	s := NewSketch(n, n*(SampleSize/(1<<16)), false)
	block := make([]float32, BlockElements)
	for i := range s.Blocks() {
		for j := range block {
			block[j] = float32(math.Abs(r.NormFloat64()))
		}
		Raw.Put(s, i, block)
	}
	for b.Loop() {
		Raw.Estimate([]*Sketch{s}, []*Scale{nil}, n/2, n, SampleSigma)
	}
}
