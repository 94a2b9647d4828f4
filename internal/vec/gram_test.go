package vec

import (
	"math"
	"math/rand/v2"
	"testing"
)

// products are what a kernel returned, all NaNs alike.
type products [3]uint64

func productsOf(aa, ab, bb float64) (p products) {
	for i, x := range []float64{aa, ab, bb} {
		p[i] = math.Float64bits(x)
		if x != x {
			p[i] = nan64
		}
	}
	return p
}

// dots are the products, one after the other, of vectors of one length.
func dots[T Float](a, b []T) (p products) {
	at(Portable, func() { p = productsOf(Dot(a, a), Dot(a, b), Dot(b, b)) })
	return p
}

// compareGram demands of both kernels what [Dot] makes of the decoded vectors.
func compareGram(t *testing.T, a, b []byte) {
	t.Helper()
	n := len(a) / 2
	x, y := make([]float32, n), make([]float32, n)
	DecodeBF16(x, a)
	DecodeBF16(y, b)
	want := dots(x, y)
	if got := productsOf(Gram(x, y)); got != want {
		t.Fatalf("Gram of %d: %x, want %x", n, got, want)
	}
	if got := productsOf(GramBF16(a, b)); got != want {
		t.Fatalf("GramBF16 of %d: %x, want %x", n, got, want)
	}
}

// Every length, from every offset in a line of the cache.
func TestGramLengths(t *testing.T) {
	const line, most = 64, 200
	r := rand.New(rand.NewPCG(41, 42))
	a, b := lined(line+2*most), lined(line+2*most)
	levelsFrom(Portable, t, func(t *testing.T) {
		for n := range most + 1 {
			for offset := range line {
				x, y := a[offset:][:2*n], b[offset*11%line:]
				random := make([]float32, n)
				for _, operand := range [][]byte{x, y} {
					for i := range random { // of many magnitudes, so that a sum shows its order
						random[i] = float32(math.Ldexp(r.NormFloat64(), r.IntN(60)-30))
					}
					EncodeBF16(operand[:2*n], random)
				}
				compareGram(t, x, y)
			}
		}
	})
}

// Numbers of 24 bits and of every magnitude, whose products are what fused additions must not
// differ in.
func TestGramEqualsDots(t *testing.T) {
	r := rand.New(rand.NewPCG(43, 44))
	x, y := make([]float32, 4096), make([]float32, 4096)
	levelsFrom(Portable, t, func(t *testing.T) {
		for range 2000 {
			n, spread := r.IntN(len(x)), 1+r.IntN(276)
			for i := range n {
				x[i] = float32(math.Ldexp(r.Float64()-0.5, r.IntN(spread)-spread/2))
				y[i] = float32(math.Ldexp(r.Float64()-0.5, r.IntN(spread)-spread/2))
			}
			if got, want := productsOf(Gram(x[:n], y)), dots(x[:n], y[:n]); got != want {
				t.Fatalf("%d within 2^%d: %x, want %x", n, spread, got, want)
			}
		}
	})
	wide := mixture[float64](500, 45)
	if got, want := productsOf(Gram(wide[:250], wide[250:])), dots(wide[:250], wide[250:]); got != want {
		t.Errorf("of float64: %x, want %x", got, want)
	}
}

// Every pair of special values at every index; and a sum is finite only if all is.
func TestGramSpecials(t *testing.T) {
	levelsFrom(Portable, t, func(t *testing.T) {
		for _, v := range specials() {
			for _, w := range specials() {
				x, y := make([]float32, 67), make([]float32, 67)
				for i := range x {
					Fill(x, 0.5)
					Fill(y, -2)
					x[i], y[i] = v, w
					aa, ab, bb := Gram(x, y)
					if got, want := productsOf(aa, ab, bb), dots(x, y); got != want {
						t.Fatalf("%x and %x at %d: %x, want %x", v, w, i, got, want)
					}
					if (aa-aa == 0) != (v-v == 0) || (bb-bb == 0) != (w-w == 0) {
						t.Fatalf("%x and %x at %d: %x and %x", v, w, i, aa, bb)
					}
				}
			}
		}
		codes, other := every16(), make([]byte, 2)
		for i := 0; i < len(codes); i += 2 {
			copy(other, codes[(i*7)%len(codes):])
			compareGram(t, codes[i:i+2], other)
		}
		for i := 0; i+64 <= len(codes); i += 64 { // whole blocks, NaNs in some
			compareGram(t, codes[i:i+64], codes[(i*7)%(len(codes)-64):])
		}
	})
}

// Vectors that begin or end at a page that must not be touched.
func TestGramGuarded(t *testing.T) {
	const page = 1 << 16
	a, b := guarded(page), guarded(page)
	copy(a, every16())
	copy(b, every16()[page:])
	x, y := floats[float32](guarded(page)), floats[float32](guarded(page))
	levelsFrom(Portable, t, func(t *testing.T) {
		for n := range 201 {
			compareGram(t, a[:2*n], b[:2*n:2*n])
			compareGram(t, a[page-2*n:], b[page-2*n:])
			Gram(x[:n], y[:n])
			Gram(x[len(x)-n:], y[len(y)-n:])
		}
	})
}

func TestGramShortOperands(t *testing.T) {
	for name, call := range map[string]func(){
		"Gram":     func() { Gram(make([]float32, 40), make([]float32, 39, 39)) },
		"GramBF16": func() { GramBF16(make([]byte, 80), make([]byte, 79, 79)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s took it", name)
				}
			}()
			call()
		}()
	}
}
