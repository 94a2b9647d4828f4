package vec

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// mixture returns n elements: special values, and random ones of every size.
func mixture[T Float](n int, seed uint64) []T {
	special := []float64{0, math.Copysign(0, -1), 1, -1, math.Inf(1), math.Inf(-1), math.NaN(), -math.NaN(),
		math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32, 0x1p-126, math.MaxFloat32, -math.MaxFloat32,
		math.SmallestNonzeroFloat64, math.MaxFloat64, 65520, 464, 1 + 0x1p-8, 1 + 0x1p-24}
	r := rand.New(rand.NewPCG(seed, 0))
	x := make([]T, n)
	for i := range x {
		switch r.IntN(3) {
		case 0:
			x[i] = T(special[r.IntN(len(special))])
		case 1:
			x[i] = T(r.NormFloat64())
		default:
			x[i] = T(math.Ldexp(r.NormFloat64(), r.IntN(300)-150))
		}
	}
	return x
}

type operands[T Float] struct {
	dst, a, b []T
	v, w      T
}

// elementwise is a kernel and what it makes of one element, dst being what was
// there before.
type elementwise[T Float] struct {
	name   string
	kernel func(o operands[T])
	naive  func(dst, a, b, v, w T) T
}

func elementwiseKernels[T Float]() []elementwise[T] {
	magnitude := func(x T) T { return T(math.Copysign(float64(x), 1)) }
	return []elementwise[T]{
		{"Delta", func(o operands[T]) { Delta(o.dst, o.a, o.b) }, func(_, a, b, _, _ T) T {
			if math.Float64bits(float64(a)) == math.Float64bits(float64(b)) { // of float32, widening keeps bits apart
				return 0
			}
			return a - b
		}},
		{"Abs", func(o operands[T]) { Abs(o.dst, o.a) }, func(_, a, _, _, _ T) T { return magnitude(a) }},
		{"Sqrt", func(o operands[T]) { Sqrt(o.dst, o.a) }, func(_, a, _, _, _ T) T { return T(math.Sqrt(float64(a))) }},
		{"Square", func(o operands[T]) { Square(o.dst, o.a) }, func(_, a, _, _, _ T) T { return a * a }},
		{"Mul", func(o operands[T]) { Mul(o.dst, o.a, o.b) }, func(_, a, b, _, _ T) T { return a * b }},
		{"MulAbs", func(o operands[T]) { MulAbs(o.dst, o.a, o.b) }, func(_, a, b, _, _ T) T { return magnitude(a) * b }},
		{"Scale", func(o operands[T]) { Scale(o.dst, o.a, o.w) }, func(_, a, _, _, w T) T { return a * w }},
		{"Axpy", func(o operands[T]) { Axpy(o.dst, o.w, o.a) }, func(dst, a, _, _, w T) T { p := T(w * a); return dst + p }},
		{"MulAxpy", func(o operands[T]) { MulAxpy(o.dst, o.w, o.a, o.b) }, func(dst, a, b, _, w T) T {
			p := T(a * w)
			p = T(p * b)
			return dst + p
		}},
		{"Add", func(o operands[T]) { Add(o.dst, o.a) }, func(dst, a, _, _, _ T) T { return dst + a }},
		{"SignSum", func(o operands[T]) { SignSum(o.dst, o.a) }, func(dst, a, _, _, _ T) T { return dst + a }},
		{"Div", func(o operands[T]) { Div(o.dst, o.a, o.v) }, func(_, a, _, v, _ T) T { return a / v }},
		{"DivBy", func(o operands[T]) { DivBy(o.dst, o.a, o.b) }, func(_, a, b, _, _ T) T {
			if b == 0 {
				return 0
			}
			return a / b
		}},
		{"SubDiv", func(o operands[T]) { SubDiv(o.dst, o.a, o.w, o.v) }, func(_, a, _, v, w T) T { return (a - w) / v }},
		{"Apply", func(o operands[T]) { Apply(o.dst, o.a, o.w, o.b) }, func(_, a, b, _, w T) T { p := T(w * b); return a + p }},
		{"Approach", func(o operands[T]) { Approach(o.dst, o.a, o.v, o.w) }, func(dst, a, _, v, w T) T {
			var d T
			if math.Float64bits(float64(a)) != math.Float64bits(float64(dst)) {
				d = a - dst
			}
			least := magnitude(d)
			if least < w {
				least = w
			}
			if v/least >= 1 {
				return a
			}
			p := T(v / least * d)
			return dst + p
		}},
		{"CountNonZero", func(o operands[T]) { CountNonZero(o.dst, o.a) }, func(dst, a, _, _, _ T) T {
			if a != 0 {
				return dst + 1
			}
			return dst
		}},
		{"AddWhereNonZero", func(o operands[T]) { AddWhereNonZero(o.dst, o.a, o.b) }, func(dst, a, b, _, _ T) T {
			if b != 0 {
				return dst + a
			}
			return dst
		}},
		{"Fill", func(o operands[T]) { Fill(o.dst, o.v) }, func(_, _, _, v, _ T) T { return v }},
		{"KeepSign", func(o operands[T]) { KeepSign(o.dst, o.a, o.b) }, func(dst, a, b, _, _ T) T {
			elected := -1.0
			if b >= 0 {
				elected = 1
			}
			if float64(a)*elected > 0 {
				return dst
			}
			return 0
		}},
	}
}

func TestElementwise(t *testing.T) {
	testElementwise(t, elementwiseKernels[float32]())
	testElementwise(t, elementwiseKernels[float64]())
	testElementwise(t, []elementwise[float32]{
		{"Contrast", func(o operands[float32]) { Contrast(o.dst, o.a, o.b, o.v, o.w) }, func(_, a, b, v, w float32) float32 {
			mean := float32(b / v)
			return a / float32(mean+w)
		}},
	})
}

// Lengths 0 … 67, from odd offsets, sources longer than dst, dst apart from the
// sources and the same as either of them.
func testElementwise[T Float](t *testing.T, kernels []elementwise[T]) {
	const most = 67
	for _, k := range kernels {
		for n := range most + 1 {
			for alias := range 3 {
				seed, offset := uint64(n*3+alias), n%5
				dst, a, b := mixture[T](most+10, seed+1000), mixture[T](most+10, seed+2000), mixture[T](most+10, seed+3000)
				for i := range a {
					if i%4 == 0 {
						b[i] = a[i]
					}
				}
				o := operands[T]{dst[offset:][:n], a[offset:], b[offset+1:], 3, 0.7}
				if alias > 0 {
					dst = [][]T{a, b}[alias-1]
					o.dst = [][]T{o.a, o.b}[alias-1][:n]
				}
				want := slices.Clone(dst)
				at := offset // of o.dst in dst
				if alias == 2 {
					at++
				}
				for i := range n {
					want[at+i] = k.naive(o.dst[i], o.a[i], o.b[i], o.v, o.w)
				}
				k.kernel(o)
				for i := range want {
					if !same(dst[i], want[i]) {
						t.Fatalf("%s: element %d of %d is %x, want %x (%T, alias %d)", k.name, i-at, n, dst[i], want[i], want[i], alias)
					}
				}
			}
		}
	}
}

func TestDeltaOfEqualBits(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	other := math.Float64frombits(math.Float64bits(nan) ^ 1)
	a := []float64{inf, -inf, nan, nan, inf, 0, math.Copysign(0, -1)}
	b := []float64{inf, -inf, nan, other, -inf, math.Copysign(0, -1), math.Copysign(0, -1)}
	want := []float64{0, 0, 0, nan, inf, 0, 0}
	got := make([]float64, len(want))
	Delta(got, a, b)
	for i := range want {
		if !same(got[i], want[i]) {
			t.Errorf("%g - %g is %g, want %g", a[i], b[i], got[i], want[i])
		}
	}
}

func TestEqualBits(t *testing.T) {
	testEqualBits[float32](t)
	testEqualBits[float64](t)
}

func testEqualBits[T Float](t *testing.T) {
	for n := range 68 {
		a := mixture[T](n, 4)
		b := append(slices.Clone(a), 1)
		if !EqualBits(a, b) {
			t.Fatalf("%d elements differ from themselves", n)
		}
		for i := range a {
			b[i] = -a[i]
			if EqualBits(a, b) {
				t.Fatalf("%g at %d of %d has the bits of %g", a[i], i, n, b[i])
			}
			b[i] = a[i]
		}
	}
}

// A fused multiply-add would leave the rounding error of the product behind.
// Compilers fuse on arm64, and on amd64 with GOAMD64=v3.
func TestNothingIsFused(t *testing.T) {
	testNothingIsFused[float32](t, 0x1p-12)
	testNothingIsFused[float64](t, 0x1p-27)
	a, b := make([]float64, 17), make([]float64, 17)
	a[0], b[0] = -(1 + 0x1p-26), 1
	a[16], b[16] = 1+0x1p-27, 1+0x1p-27
	if got := Dot(a, b); got != 0 {
		t.Errorf("Dot: %x, want 0", got)
	}
}

// In T, (1+e)² rounds to 1+2e.
func testNothingIsFused[T Float](t *testing.T, e T) {
	x, one, minus, dst := []T{1 + e}, []T{1}, []T{-(1 + 2*e)}, []T{0}
	for name, kernel := range map[string]func(){
		"Axpy":       func() { Axpy(dst, 1+e, x) },
		"MulAxpy":    func() { MulAxpy(dst, 1+e, one, x) },
		"SelectAxpy": func() { SelectAxpy(dst, 1+e, x, []float32{1}, 1) },
		"Apply":      func() { Apply(dst, minus, 1+e, x) },
	} {
		copy(dst, minus)
		if kernel(); dst[0] != 0 {
			t.Errorf("%s of %T: %x, want 0", name, e, dst[0])
		}
	}
}

// float32(math.Sqrt) is the correctly rounded root: its square's neighbours
// enclose x. The midpoints to the neighbouring floats are squared exactly.
func TestSqrtRoundsOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 11))
	dst := []float32{0}
	for range 20000 {
		x := math.Float32frombits(r.Uint32() & 0x7f7fffff)
		Sqrt(dst, []float32{x})
		root := dst[0]
		below := (float64(math.Nextafter32(root, 0)) + float64(root)) / 2
		above := (float64(math.Nextafter32(root, math.MaxFloat32)) + float64(root)) / 2
		if below*below > float64(x) || above*above < float64(x) {
			t.Fatalf("√%x is not %x", x, root)
		}
	}
}

// A quotient by a power of two is a product with another, where both have all of their bits: the results are those of a division, from the
// smallest divisor to the largest and for everything that is divided.
func TestDivByPowers(t *testing.T) {
	levelsFrom(Portable, t, func(t *testing.T) {
		testDivByPowers[float32](t)
		testDivByPowers[float64](t)
	})
}

func testDivByPowers[T Float](t *testing.T) {
	x := mixture[T](100, 31)
	got := make([]T, len(x))
	for exponent := -149; exponent <= 127; exponent++ {
		for _, d := range []T{T(math.Ldexp(1, exponent)), T(-math.Ldexp(1, exponent)), T(math.Ldexp(3, exponent-1))} {
			if d == 0 || math.IsInf(float64(d), 0) {
				continue
			}
			Div(got, x, d)
			for i, v := range x {
				if want := v / d; !same(got[i], want) {
					t.Fatalf("%g / %g is %g, want %g", v, d, got[i], want)
				}
			}
		}
	}
}
