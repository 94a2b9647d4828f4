package gguf

import (
	"math"
	"math/rand/v2"
	"testing"
)

// lost is the square error of values that were stored as blocks and read again, over the squares of the values.
func lost(t *testing.T, s *storage, x []float32) float64 {
	t.Helper()
	blocks, again := make([]byte, int64(len(x))/s.Elements*s.Bytes), make([]float32, len(x))
	if !s.Encode(blocks, x) {
		t.Fatal("no code")
	}
	s.Decode(again, blocks)
	var e, all float64
	for i, v := range x {
		d := float64(again[i]) - float64(v)
		e, all = e+d*d, all+float64(v)*float64(v)
	}
	return e / all
}

// rounded is what is lost by codes that divide the span of each group evenly, with scales of no error: what is left out by a search.
func rounded(x []float32, group int, codes float64, symmetric bool) float64 {
	var e, all float64
	for at := 0; at < len(x); at += group {
		g := x[at : at+group]
		least, most := span(g)
		low, scale := min(0, float64(least)), (float64(most)-min(0, float64(least)))/(codes-1)
		if symmetric {
			scale = math.Abs(float64(extreme(g))) / (codes / 2)
			low = 0
		}
		for _, v := range g {
			q := math.RoundToEven((float64(v) - low) / scale)
			if symmetric {
				q = min(q, codes/2-1)
			}
			d := low + q*scale - float64(v)
			e, all = e+d*d, all+float64(v)*float64(v)
		}
	}
	return e / all
}

// K-quants lose less than rounding without a search would by scales that are exact, though theirs have six bits or eight.
func TestEncodeK(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	const n = 256 * 64
	for _, c := range []struct {
		name   string
		value  func(k int) float64
		q4, q6 float64 // what is lost at most, of what rounding loses
	}{
		{"normal", func(int) float64 { return r.NormFloat64() * 0.02 }, 0.86, 0.63},
		{"uniform", func(int) float64 { return r.Float64() - 0.5 }, 0.86, 0.63},
		{"positive", func(int) float64 { return 1 + r.Float64() }, 0.86, 0.63},
		{"negative", func(int) float64 { return -3 - r.Float64() }, 1.2, 0.85}, // offsets of many times the span of their group have an error of their own
		{"outliers", func(int) float64 { return math.Pow(r.NormFloat64(), 5) }, 0.35, 0.5},
		{"different", func(k int) float64 { return r.NormFloat64() * float64(1+k/32%8) }, 0.86, 0.63},
	} {
		x := make([]float32, n)
		for k := range x {
			x[k] = float32(c.value(k))
		}
		q4, q6 := lost(t, storages[12], x)/rounded(x, 32, 16, false), lost(t, storages[14], x)/rounded(x, 16, 64, true)
		t.Logf("%s: Q4_K loses %.3f of what rounding does, Q6_K %.3f", c.name, q4, q6)
		if q4 > c.q4 || q6 > c.q6 {
			t.Errorf("%s: Q4_K loses %.3f of what rounding does, Q6_K %.3f", c.name, q4, q6)
		}
	}
}

// Zeros, equal values, and values that blocks have anyway come back.
func TestEncodeKAgain(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, s := range []*storage{storages[12], storages[14]} {
		x := make([]float32, 256)
		for _, equal := range []float32{0, 1, -1, 0.75, -300} {
			for i := range x {
				x[i] = equal
			}
			if equal != 0 && lost(t, s, x) > 1e-5 {
				t.Errorf("%s: %v loses %g", s.Name, equal, lost(t, s, x))
			}
		}
		for range 50 {
			for i := range x {
				x[i] = float32(r.IntN(16)) - 8
			}
			for k := range 16 { // every group has the ends
				x[16*k], x[16*k+1] = -8, 7
			}
			if e := lost(t, s, x); e > 2e-4 {
				t.Fatalf("%s: whole numbers lose %g", s.Name, e)
			}
		}
	}
}

// Rounding is that of the standard library, between and at whole numbers and beyond the ends.
func TestNearest(t *testing.T) {
	for x := -200.0; x <= 200; x += 0.125 {
		for _, v := range []float64{x, math.Nextafter(x, -1e9), math.Nextafter(x, 1e9)} {
			if got, want := nearest(v, -128, 127), min(max(math.RoundToEven(v), -128), 127); got != want {
				t.Fatalf("%v is rounded to %v, want %v", v, got, want)
			}
		}
	}
	for _, v := range []float64{1e300, math.Inf(1)} {
		if nearest(v, -1, 5) != 5 || nearest(-v, -1, 5) != -1 {
			t.Errorf("%v and its negative are rounded to %v and %v", v, nearest(v, -1, 5), nearest(-v, -1, 5))
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	const elements = 16 << 10
	r := rand.New(rand.NewPCG(9, 10))
	x := make([]float32, elements)
	for i := range x {
		x[i] = float32(r.NormFloat64() * 0.02)
	}
	for _, s := range storages {
		if s.Encode == nil {
			continue
		}
		dst := make([]byte, elements/s.Elements*s.Bytes)
		b.Run(s.Name, func(b *testing.B) {
			for b.Loop() {
				s.Encode(dst, x)
			}
			b.ReportMetric(elements*float64(b.N)/b.Elapsed().Seconds()/1e6, "Melements/s")
		})
	}
}
