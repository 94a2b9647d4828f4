package vec

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// bf16Operands are dst, the bfloat16 ones x and a, and others that a kernel may take.
type bf16Operands struct {
	dst  []float32
	x, a []byte
	base []float32
	w    float32
}

// bf16Kernel is a kernel, and the kernels that do the same in steps, given the
// decoded x and a.
type bf16Kernel struct {
	name   string
	kernel func(o bf16Operands)
	steps  func(o bf16Operands, x, a []float32)
	moves  bool // the bits of NaNs also, instead of computing with them
}

var bf16Kernels = []bf16Kernel{
	{"AbsBF16", func(o bf16Operands) { AbsBF16(o.dst, o.x) },
		func(o bf16Operands, x, _ []float32) { Abs(o.dst, x) }, true},
	{"ScaleBF16", func(o bf16Operands) { ScaleBF16(o.dst, o.x, o.w) },
		func(o bf16Operands, x, _ []float32) { Scale(o.dst, x, o.w) }, false},
	{"AxpyBF16", func(o bf16Operands) { AxpyBF16(o.dst, o.w, o.x) },
		func(o bf16Operands, x, _ []float32) { Axpy(o.dst, o.w, x) }, false},
	{"DeltaBF16", func(o bf16Operands) { DeltaBF16(o.dst, o.x, o.base) },
		func(o bf16Operands, x, _ []float32) { Delta(o.dst, x, o.base) }, false},
	{"DistanceBF16", func(o bf16Operands) { DistanceBF16(o.dst, o.x, o.a) },
		func(o bf16Operands, x, a []float32) {
			Delta(o.dst, x, a)
			for i, d := range o.dst {
				if d = abs(d); d-d != 0 {
					d = math.MaxFloat32
				}
				o.dst[i] = d
			}
		}, true},
	{"AxpyDeltaBF16", func(o bf16Operands) { AxpyDeltaBF16(o.dst, o.w, o.x, o.base) },
		func(o bf16Operands, x, _ []float32) {
			d := slices.Clone(x)
			Delta(d, x, o.base)
			Axpy(o.dst, o.w, d)
		}, false},
	{"MulAbsBF16", func(o bf16Operands) { MulAbsBF16(o.dst, o.x, o.a) },
		func(o bf16Operands, x, a []float32) { Abs(a, a); MulAbs(o.dst, x, a) }, false},
	{"MulAbsByBF16", func(o bf16Operands) { MulAbsByBF16(o.dst, o.base, o.x) },
		func(o bf16Operands, x, _ []float32) { Abs(x, x); MulAbs(o.dst, o.base, x) }, false},
	{"MulAbsDeltaBF16", func(o bf16Operands) { MulAbsDeltaBF16(o.dst, o.x, o.a, o.third()) },
		func(o bf16Operands, x, a []float32) { Delta(x, x, a); MulAbsByBF16(o.dst, x, o.third()) }, false},
	{"DeltaMulAbsBF16", func(o bf16Operands) { DeltaMulAbsBF16(slices.Clone(o.dst), o.dst, o.x, o.base, o.a) },
		func(o bf16Operands, x, _ []float32) { Delta(x, x, o.base); MulAbsByBF16(o.dst, x, o.a) }, false},
	{"DeltaMulAbsBF16 delta", func(o bf16Operands) { DeltaMulAbsBF16(o.dst, slices.Clone(o.dst), o.x, o.base, o.a) },
		func(o bf16Operands, x, _ []float32) { Delta(o.dst, x, o.base) }, false},
	{"SumBF16 of one", func(o bf16Operands) { SumBF16(o.dst, [][]byte{o.x}, []float32{o.w}) },
		func(o bf16Operands, x, _ []float32) { Scale(o.dst, x, o.w) }, false},
	{"SumBF16 of three", func(o bf16Operands) {
		SumBF16(o.dst, [][]byte{o.x, o.a, o.third()}, []float32{o.w, 0.3, -1.7})
	}, func(o bf16Operands, x, a []float32) {
		third := o.third()
		Scale(o.dst, x, o.w)
		Axpy(o.dst, 0.3, a)
		AxpyBF16(o.dst, -1.7, third)
	}, false},
	{"AddDeltasBF16 of one", func(o bf16Operands) { AddDeltasBF16(o.dst, o.a, 0.9, [][]byte{o.x}, []float32{o.w}) },
		func(o bf16Operands, x, a []float32) {
			Delta(x, x, a)
			Fill(o.dst, 0)
			Axpy(o.dst, o.w, x)
			Apply(o.dst, a, 0.9, o.dst)
		}, false},
	{"AddDeltasBF16 of two", func(o bf16Operands) {
		AddDeltasBF16(o.dst, o.a, o.w, [][]byte{o.x, o.third()}, []float32{0.3, -1.7})
	}, func(o bf16Operands, x, a []float32) {
		third := o.third()
		Fill(o.dst, 0)
		Delta(x, x, a)
		Axpy(o.dst, 0.3, x)
		AxpyDeltaBF16(o.dst, -1.7, third, a)
		Apply(o.dst, a, o.w, o.dst)
	}, false},
}

// third is base as a third operand in bfloat16: the leading halves of its first elements.
func (o bf16Operands) third() []byte {
	b := make([]byte, 2*len(o.dst))
	for i := range o.dst {
		copy(b[2*i:2*i+2], memory(o.base[i : i+1])[2:])
	}
	return b
}

// compare demands that the kernel makes of dst what the portable kernels make of a
// copy of it in steps. Base may be dst.
func (k bf16Kernel) compare(t *testing.T, o bf16Operands) {
	t.Helper()
	n := len(o.dst)
	want := o
	want.dst = slices.Clone(o.dst)
	x, a := make([]float32, n), make([]float32, n)
	at(Portable, func() {
		DecodeBF16(x, o.x)
		DecodeBF16(a, o.a)
		k.steps(want, x, a)
	})
	k.kernel(o)
	for i, w := range want.dst {
		if got := o.dst[i]; !sameBits(got, w) && (k.moves || got == got || w == w) {
			t.Fatalf("%s of %d, w %x: element %d, of % x and % x, is %#x, want %#x", k.name, n, o.w, i,
				o.x[2*i:][:2], o.a[2*i:][:2], math.Float32bits(got), math.Float32bits(w))
		}
	}
}

// every16 is every code once, in an order without runs.
func every16() []byte {
	all := make([]byte, 2<<16)
	for i := range 1 << 16 {
		code := i * 0x9e37
		all[2*i], all[2*i+1] = byte(code), byte(code>>8)
	}
	return all
}

// Every code with every special value on the other side, and what Axpy adds to; with
// its own value, which Delta turns into +0; and with codes at random.
func TestBF16Codes(t *testing.T) {
	const n = 1 << 16
	x, other := every16(), make([]byte, 2*n)
	dst, base := make([]float32, n), make([]float32, n)
	levelsFrom(Portable, t, func(t *testing.T) {
		for _, k := range bf16Kernels {
			for _, v := range specials() {
				Fill(base, v)
				EncodeBF16(other, base)
				before := []float32{1}
				if strings.HasPrefix(k.name, "Axpy") {
					before = specials()
				}
				for _, c := range before {
					Fill(dst, c)
					k.compare(t, bf16Operands{dst, x, other, base, v})
				}
			}
			DecodeBF16(base, x)
			k.compare(t, bf16Operands{dst, x, x, base, 1})
			r := rand.New(rand.NewPCG(31, 32))
			for range 20 {
				for i := range other {
					other[i] = byte(r.Uint32())
				}
				DecodeBF16(base, other)
				Fill(dst, float32(r.NormFloat64()))
				k.compare(t, bf16Operands{dst, x, other, base, float32(r.NormFloat64())})
			}
		}
	})
}

// Every length with x at every byte of a line of the cache, and the others at as many
// places. What lies beside dst is not touched, and no operand but dst.
func TestBF16Lengths(t *testing.T) {
	const line, most = 64, 200
	r := rand.New(rand.NewPCG(33, 34))
	random := make([]byte, 2*most)
	for i := range random {
		random[i] = byte(r.Uint32())
	}
	numbers := mixture[float32](most, 35)
	for i := 0; i < most; i += 4 {
		DecodeBF16(numbers[i:i+1], random[2*i:]) // for Delta
	}
	at := func(offset, n int) []byte { // longer than it has to be
		b := lined(line + 2*most)[offset:]
		copy(b, random[:2*n])
		return b
	}
	levelsFrom(Portable, t, func(t *testing.T) {
		for _, k := range bf16Kernels {
			for n := range most + 1 {
				for offset := range line {
					x, a := at(offset, n), at(offset*11%line, n)
					base := floats[float32](lined(4 * (line + most)))[offset*7%16:]
					copy(base, numbers)
					memory := floats[float32](lined(4 * (line + most)))
					Fill(memory, -1)
					dst := memory[offset%16:][:n]
					copy(dst, numbers[most-n:])
					k.compare(t, bf16Operands{dst, x, a, base, 0.7})
					if !slices.Equal(x[:2*n], random[:2*n]) || !slices.Equal(a[:2*n], random[:2*n]) || !EqualBits(numbers, base) {
						t.Fatalf("%s of %d: wrote to an operand", k.name, n)
					}
					Fill(dst, -1)
					if slices.ContainsFunc(memory, func(v float32) bool { return v != -1 }) {
						t.Fatalf("%s of %d: wrote around", k.name, n)
					}
					if offset%8 == 0 { // in place
						k.compare(t, bf16Operands{base[:n], x, a, base, 0.7})
					}
				}
			}
		}
	})
}

// Operands that begin or end at a page that must not be touched.
func TestBF16Guarded(t *testing.T) {
	const page, most = 1 << 16, 200
	x, a := guarded(page), guarded(page)
	dst, base := floats[float32](guarded(page)), floats[float32](guarded(page))
	copy(x, every16())
	copy(a, every16()[page:])
	copy(base, mixture[float32](len(base), 36))
	levelsFrom(Portable, t, func(t *testing.T) {
		for _, k := range bf16Kernels {
			for n := range most + 1 {
				k.compare(t, bf16Operands{dst[:n], x[:2*n], a[:2*n], base[:n], 0.7})
				k.compare(t, bf16Operands{dst[len(dst)-n:], x[page-2*n:], a[page-2*n:], base[len(base)-n:], 0.7})
			}
		}
	})
}

func TestBF16ShortOperands(t *testing.T) {
	const n = 40
	short, fits := make([]byte, 2*n-1), make([]byte, 2*n)
	dst := make([]float32, n)
	for name, call := range map[string]func(){
		"AbsBF16":            func() { AbsBF16(dst, short) },
		"ScaleBF16":          func() { ScaleBF16(dst, short, 1) },
		"AxpyBF16":           func() { AxpyBF16(dst, 1, short) },
		"DeltaBF16 src":      func() { DeltaBF16(dst, short, dst) },
		"DeltaBF16 base":     func() { DeltaBF16(dst, fits, dst[:n-1:n-1]) },
		"DistanceBF16 src":   func() { DistanceBF16(dst, short, fits) },
		"DistanceBF16 base":  func() { DistanceBF16(dst, fits, short) },
		"AxpyDeltaBF16 src":  func() { AxpyDeltaBF16(dst, 1, short, dst) },
		"AxpyDeltaBF16 base": func() { AxpyDeltaBF16(dst, 1, fits, dst[:n-1:n-1]) },
		"MulAbsBF16 x":       func() { MulAbsBF16(dst, short, fits) },
		"MulAbsBF16 a":       func() { MulAbsBF16(dst, fits, short) },
		"MulAbsByBF16 x":     func() { MulAbsByBF16(dst, dst[:n-1:n-1], fits) },
		"MulAbsByBF16 a":     func() { MulAbsByBF16(dst, dst, short) },
		"MulAbsDelta x":      func() { MulAbsDeltaBF16(dst, short, fits, fits) },
		"MulAbsDelta base":   func() { MulAbsDeltaBF16(dst, fits, short, fits) },
		"MulAbsDelta a":      func() { MulAbsDeltaBF16(dst, fits, fits, short) },
		"SumBF16":            func() { SumBF16(dst, [][]byte{fits, short}, dst) },
		"SumBF16 w":          func() { SumBF16(dst, [][]byte{fits, fits}, dst[:1:1]) },
		"AddDeltasBF16 base": func() { AddDeltasBF16(dst, short, 1, [][]byte{fits}, dst) },
		"AddDeltasBF16 x":    func() { AddDeltasBF16(dst, fits, 1, [][]byte{fits, short}, dst) },
		"AddDeltasBF16 w":    func() { AddDeltasBF16(dst, fits, 1, [][]byte{fits, fits}, dst[:1:1]) },
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

// 1.0078125 has 8 bits, its product with 1+2^-20 the 28 that a fused sum would keep.
func TestAxpyBF16IsNotFused(t *testing.T) {
	acc := []float32{-(1 + 0x1p-7 + 0x1p-20)}
	if AxpyBF16(acc, 1+0x1p-20, []byte{0x81, 0x3f}); acc[0] != 0 {
		t.Errorf("%x, want 0", acc[0])
	}
}

// All are finite but one, wherever that is: an overflow, an infinity or a NaN.
func TestProductsAreFinite(t *testing.T) {
	const most = 100
	half := func(x float32) []byte { b := make([]byte, 2); EncodeBF16(b, []float32{x}); return b }
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	levelsFrom(Portable, t, func(t *testing.T) {
		for n := range most {
			x, a, base := bytes.Repeat(half(1.5), n), bytes.Repeat(half(0x1p127), n), bytes.Repeat(half(1), n)
			wide, dst, delta := slices.Repeat([]float32{-1.5}, n), make([]float32, n), make([]float32, n)
			base32 := slices.Repeat([]float32{1}, n)
			check := func(at int, want bool) {
				t.Helper()
				for name, got := range map[string]bool{
					"MulAbsBF16":      MulAbsBF16(dst, x, a),
					"MulAbsByBF16":    MulAbsByBF16(dst, wide, a),
					"MulAbsDeltaBF16": MulAbsDeltaBF16(dst, x, base, a),
					"DeltaMulAbsBF16": DeltaMulAbsBF16(delta, dst, x, base32, a),
				} {
					if got != want {
						t.Fatalf("%s of %d, other at %d: %v", name, n, at, got)
					}
				}
			}
			check(-1, true)
			for at := range n {
				for _, v := range []float32{-8, inf, -inf, nan} { // -8 times 2^127 overflows, and so does the difference
					copy(x[2*at:], half(v))
					wide[at] = v
					check(at, false)
				}
				copy(x[2*at:], half(1.5))
				wide[at] = -1.5
			}
		}
	})
}
