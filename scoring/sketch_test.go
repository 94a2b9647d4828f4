package scoring

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// tensors are raw scores of a model, whose rows and tensors differ in size.
func tensors(r *rand.Rand, draw func() float32) [][]float32 {
	var list [][]float32
	for _, n := range []int{1 << 17, 300, 1 << 16, 1 << 18, 40_000} {
		s, scale := make([]float32, n), float32(math.Ldexp(1, r.IntN(8)))
		for i := range s {
			s[i] = scale * float32(int(1)<<(i/1000%3)) * draw()
		}
		list = append(list, s)
	}
	return list
}

// searched finds a model's quantile as a merge does: sketches, a bracket, tables, and single
// counts of the tensors that a histogram did not settle.
func searched(r *rand.Rand, n Normalization, model [][]float32, k int64, spoil func(*Sketch)) (value float32, settled, passes int) {
	var total int64
	for _, s := range model {
		total += int64(len(s))
	}
	sketches, scales := make([]*Sketch, len(model)), make([]*Scale, len(model))
	for t, s := range model {
		sketches[t] = NewSketch(int64(len(s)), total, false)
		blocks := sketches[t].Blocks()
		for i := range blocks {
			lo := int64(len(s))/blocks*i + r.Int64N(max(1, int64(len(s))/blocks-BlockElements))
			n.Put(sketches[t], i, s[lo:min(lo+BlockElements, int64(len(s)))])
		}
		if n == Raw {
			scales[t] = &Identity
		}
		if spoil != nil {
			spoil(sketches[t])
		}
	}
	q := NewQuantile(k)
	b := n.Estimate(sketches, scales, k, total, SampleSigma).Bracket
	q.Narrow(b)
	exact := make([]Scale, len(model))
	c := NewCounts()
	for t, s := range model {
		exact[t] = n.Scale(n.Summarize(s))
		histogram := n.NewRawHistogram(sketches[t], b, 8<<20)
		if histogram != nil {
			histogram.Open()
			for tile := range slices.Chunk(s, 1000+r.IntN(5000)) {
				if c.Full(len(tile)) {
					histogram.Add(c)
				}
				histogram.Count(c, tile)
			}
			histogram.Add(c)
			if histogram.Settle(q, exact[t]) {
				settled++
				continue
			}
		}
		count(q, c, s, exact[t])
	}
	for passes = 1; q.Next(); passes++ {
		for t, s := range model {
			count(q, c, s, exact[t])
		}
	}
	return q.Value(), settled, passes
}

func count(q *Quantile, c *Counts, s []float32, sc Scale) {
	for tile := range slices.Chunk(s, 8192) {
		if c.Full(len(tile)) {
			q.Add(c)
		}
		q.Count(c, tile, q.Window(sc))
	}
	q.Add(c)
}

// bfloat16 truncates to 8 bits of significand.
func bfloat16(x float64) float32 {
	return math.Float32frombits(math.Float32bits(float32(x)) &^ 0xffff)
}

func TestSketchedQuantileEqualsSort(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	draws := map[string]func() float32{
		"products": func() float32 { return bfloat16(math.Abs(r.NormFloat64())) * bfloat16(math.Abs(r.NormFloat64())) },
		"normal":   func() float32 { return float32(math.Abs(r.NormFloat64())) },
		"heavy":    func() float32 { return float32(math.Exp(3 * r.NormFloat64())) },
		"constant": func() float32 { return 1 },
		"zeros":    func() float32 { return 0 },
		"few":      func() float32 { return float32(max(0, r.IntN(20)-16)) },
		"denormal": func() float32 { return math.Float32frombits(r.Uint32N(1000)) },
	}
	spoilt := map[string]func(*Sketch){
		"": nil,
		"means too large": func(s *Sketch) {
			for i := range s.means {
				s.means[i] *= 3
			}
		},
		"scores too small":    func(s *Sketch) { clear(s.kept) },
		"patterns too coarse": func(s *Sketch) { clear(s.patterns) },
	}
	for name, draw := range draws {
		model := tensors(r, draw)
		for _, n := range []Normalization{ByMean, Raw, ByL2} {
			var all []float32
			for _, s := range model {
				s = slices.Clone(s)
				n.Scale(n.Summarize(s)).Apply(s)
				all = append(all, s...)
			}
			slices.Sort(all)
			for _, d := range []float64{0.001, 0.2, 0.7} {
				k := Rank(d, int64(len(all)))
				want := all[int64(len(all))-k]
				for how, spoil := range spoilt {
					got, settled, passes := searched(r, n, model, k, spoil)
					if math.Float32bits(got) != math.Float32bits(want) {
						t.Errorf("%s %s, %v, density %v: %v, want %v", name, how, n, d, got, want)
					}
					if passes > 4 {
						t.Errorf("%s %s, %v, density %v: %d passes", name, how, n, d, passes)
					}
					if how == "" && name == "products" && d == 0.2 && (settled < 3 || passes > 2) {
						t.Errorf("%s, %v, density %v: %d tensors settled, %d passes", name, n, d, settled, passes)
					}
				}
			}
		}
	}
}

// Products of two bfloat16 take a 256th of the bins of other scores.
func TestTableOf16BitProducts(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	s := make([]float32, 1<<18)
	for i := range s {
		s[i] = bfloat16(math.Abs(r.NormFloat64())) * bfloat16(math.Abs(r.NormFloat64()))
	}
	k := NewSketch(int64(len(s)), int64(len(s)), false)
	for i := range k.Blocks() {
		lo := int64(len(s)) / k.Blocks() * i
		ByMean.Put(k, i, s[lo:lo+BlockElements])
	}
	histogram := ByMean.NewRawHistogram(k, Bracket{1, 2}, 1<<20)
	if histogram == nil || histogram.grain != 8 || histogram.Bytes() > 4*(3<<15) {
		t.Errorf("%+v", histogram)
	}
}

// A sample of pages has at least a block, no more than an eighth of the tensor, and as many as a model needs where that is more.
func TestPageBlocks(t *testing.T) {
	for _, c := range []struct{ elements, model, want int64 }{
		{1, 1, 1}, {5000, 1 << 30, 1}, {48 * 1024 * 10, 1 << 40, 10}, {1 << 30, 1 << 40, 64}, {1 << 30, 1 << 32, 1024}, {1 << 20, 1 << 20, 128}, {1 << 30, 1 << 30, 4096},
	} {
		if got := PageBlocks(c.elements, c.model); got != c.want {
			t.Errorf("%d elements of %d: %d blocks, want %d", c.elements, c.model, got, c.want)
		}
	}
}
