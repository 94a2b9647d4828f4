package vec

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestExpAndLog(t *testing.T) {
	near := func(got, want float64) bool {
		return math.Abs(got-want) <= 4.5e-16*math.Abs(want)+1e-300 // math's own are off by one, too
	}
	r := rand.New(rand.NewPCG(2, 3))
	for range 200_000 {
		if x := -math.Exp(r.Float64()*50 - 43); !near(ExpDown(x), math.Exp(x)) {
			t.Fatalf("exp %v: %v, want %v", x, ExpDown(x), math.Exp(x))
		}
		x := math.Exp(r.Float64()*40 - 20)
		if r.IntN(2) == 0 {
			x = 1 + r.NormFloat64()*1e-3
		}
		if !near(logNormal(x), math.Log(x)) {
			t.Fatalf("ln %v: %v, want %v", x, logNormal(x), math.Log(x))
		}
	}
	if ExpDown(0) != 1 || ExpDown(math.Inf(-1)) != 0 || ExpDown(math.NaN()) == ExpDown(math.NaN()) {
		t.Error("exp of 0, -Inf or NaN")
	}
	if logNormal(1) != 0 || logNormal(math.NaN()) == logNormal(math.NaN()) {
		t.Error("ln of 1 or NaN")
	}
}

// compareExponentials demands the bits of the scalar.
func compareExponentials(t *testing.T, dst []float64, x []float32, shift float64) {
	t.Helper()
	Exponentials(dst, x, shift)
	for i, got := range dst {
		if want := ExpDown(float64(x[i]) - shift); !same64(got, want) {
			t.Fatalf("%d of %d: e to the %x less %x is %x, want %x", i, len(dst), x[i], shift, got, want)
		}
	}
}

// compareTerms demands what the scalars make of each element.
func compareTerms(t *testing.T, dst, p, q []float64, toP, toQ, least float64) {
	t.Helper()
	EntropyTerms(dst, p, q, toP, toQ, least)
	for i, got := range dst {
		x, y := float64(p[i]*toP)+least, float64(q[i]*toQ)+least
		if want := x * logNormal(x/y); !same64(got, want) {
			t.Fatalf("%d of %d: of %x and %x, which are %x and %x: %x, want %x", i, len(dst), p[i], q[i], x, y, got, want)
		}
	}
}

// same64 takes all NaNs for one.
func same64(a, b float64) bool { return sameBits(a, b) || a != a && b != b }

func TestExponentialsEqualScalar(t *testing.T) {
	r := rand.New(rand.NewPCG(61, 62))
	levelsFrom(Portable, t, func(t *testing.T) {
		x, dst := make([]float32, 1000), make([]float64, 1000)
		for range 300 {
			shift := float64(float32(math.Ldexp(r.NormFloat64(), r.IntN(20)-10)))
			for i := range x {
				x[i] = float32(shift)
				if r.IntN(8) > 0 { // of every magnitude, and where it becomes 0
					x[i] -= float32(math.Exp(r.Float64()*30 - 20))
				}
				if float64(x[i]) > shift {
					x[i] = float32(shift)
				}
			}
			compareExponentials(t, dst, x, shift)
		}
		for i := range x { // the last that is not 0, and the first that is
			x[i] = -708 + float32(i-500)*0x1p-14
		}
		compareExponentials(t, dst, x, 0)
		low := []float32{0, float32(math.Copysign(0, -1)), -math.MaxFloat32, float32(math.Inf(-1)), float32(math.NaN()), -math.SmallestNonzeroFloat32, -708, -1}
		for i := range x {
			x[i] = low[i*(1+i/8)%8]
		}
		for _, shift := range []float64{0, math.Copysign(0, -1), math.MaxFloat32, math.Inf(1), math.NaN()} {
			compareExponentials(t, dst, x, shift)
		}
	})
}

func TestEntropyTermsEqualScalar(t *testing.T) {
	r := rand.New(rand.NewPCG(63, 64))
	special := []float64{0, 1, math.NaN(), math.Inf(1), 0x1p-1022}
	levelsFrom(Portable, t, func(t *testing.T) {
		p, q, dst := make([]float64, 1000), make([]float64, 1000), make([]float64, 1000)
		for round := range 300 {
			for i := range p {
				p[i], q[i] = math.Exp(-r.ExpFloat64()*20), math.Exp(-r.ExpFloat64()*20)
				switch r.IntN(16) {
				case 0:
					q[i] = p[i]
				case 1:
					q[i] = math.Nextafter(p[i], r.Float64())
				case 2:
					p[i] = special[r.IntN(len(special))]
				case 3:
					q[i] = special[r.IntN(len(special))]
				}
			}
			least := []float64{1e-8, 1e-300, 0.5}[round%3]
			compareTerms(t, dst, p, q, r.Float64(), r.Float64(), least)
			compareTerms(t, dst, p, q, 1, 1, least)
		}
	})
}

// Every length, and operands that begin or end at a page that must not be touched.
func TestExpLogGuarded(t *testing.T) {
	const size = 1 << 13
	tile := func() []float64 { return floats[float64](guarded(8 * size)) }
	x, dst, p, q := floats[float32](guarded(4*size*2)), tile(), tile(), tile()
	for i := range p {
		x[i], x[size+i], p[i], q[i] = -float32(i), -float32(i)/7, 1/float64(i+1), 1/float64(2*size-i)
	}
	levelsFrom(Portable, t, func(t *testing.T) {
		for n := range 201 {
			Fill(dst, -1)
			compareExponentials(t, dst[:n], x[:n], 1)
			compareExponentials(t, dst[size-n:], x[len(x)-n:], 1)
			for _, v := range dst[n : size-n] {
				if v != -1 {
					t.Fatalf("Exponentials of %d: wrote around", n)
				}
			}
			Fill(dst, -1)
			compareTerms(t, dst[:n], p[:n], q[:n], 0.3, 0.7, 1e-8)
			compareTerms(t, dst[size-n:], p[size-n:], q[size-n:], 0.3, 0.7, 1e-8)
			for _, v := range dst[n : size-n] {
				if v != -1 {
					t.Fatalf("EntropyTerms of %d: wrote around", n)
				}
			}
			copy(dst, p) // in place
			compareInPlace(t, dst[:n], p, q)
		}
	})
}

func compareInPlace(t *testing.T, dst, p, q []float64) {
	t.Helper()
	EntropyTerms(dst, dst, q, 0.3, 0.7, 1e-8)
	for i, got := range dst {
		var want [1]float64
		if EntropyTerms(want[:], p[i:], q[i:], 0.3, 0.7, 1e-8); got != want[0] {
			t.Fatalf("in place, %d of %d: %x, want %x", i, len(dst), got, want[0])
		}
	}
}

// Sums of float64, on the level's registers.
func TestSumOfFloat64Levels(t *testing.T) {
	r := rand.New(rand.NewPCG(65, 66))
	x := floats[float64](guarded(1 << 16))
	for i := range x {
		x[i] = math.Ldexp(r.NormFloat64(), r.IntN(60))
	}
	levelsFrom(Portable, t, func(t *testing.T) {
		for n := range 300 {
			for _, part := range [][]float64{x[:n], x[len(x)-n:], x[3:][:n]} {
				if got, want := Sum(part), inOrder(part); !sameBits(got, want) {
					t.Fatalf("of %d: %x, want %x", n, got, want)
				}
			}
		}
	})
}
