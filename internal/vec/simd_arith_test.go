package vec

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// simdKernel is a kernel that assembly may do a part of. Call returns the bits of
// what the kernel returns, for all NaNs the same.
type simdKernel struct {
	name  string
	call  func(o operands[float32]) uint64
	moves bool // the bits of NaNs also, instead of computing with them
}

func simdKernels() []simdKernel {
	number := func(x float64) uint64 {
		if x != x {
			return nan64
		}
		return math.Float64bits(x)
	}
	boolean := map[bool]uint64{true: 1}
	kernels := []simdKernel{
		{"Contrast", func(o operands[float32]) uint64 { Contrast(o.dst, o.a, o.b, o.v, o.w); return 0 }, false},
		{"Select", func(o operands[float32]) uint64 { return uint64(Select(o.dst, o.a, o.v)) }, true},
		{"SelectAxpy", func(o operands[float32]) uint64 { return uint64(SelectAxpy(o.dst, o.w, o.a, o.b, o.v)) }, false},
		{"CountAtLeast", func(o operands[float32]) uint64 { return uint64(CountAtLeast(o.a, o.v)) }, true},
		{"Sum", func(o operands[float32]) uint64 { return number(Sum(o.a)) }, true},
		{"SumAbs", func(o operands[float32]) uint64 { return number(SumAbs(o.a)) }, true},
		{"SumSquares", func(o operands[float32]) uint64 { return number(SumSquares(o.a)) }, true},
		{"Dot", func(o operands[float32]) uint64 { return number(Dot(o.a, o.b)) }, true},
		{"Max", func(o operands[float32]) uint64 { return number(float64(Max(o.a))) }, true},
		{"Min", func(o operands[float32]) uint64 { return number(float64(Min(o.a))) }, true},
		{"EqualBits", func(o operands[float32]) uint64 { return boolean[EqualBits(o.a, o.b)] }, true},
	}
	for _, k := range elementwiseKernels[float32]() {
		moves := slices.Contains([]string{"Abs", "Fill", "Copy", "KeepSign"}, k.name)
		kernels = append(kernels, simdKernel{k.name, func(o operands[float32]) uint64 { k.kernel(o); return 0 }, moves})
	}
	return kernels
}

// compare runs a kernel at the level and at Portable, and demands that it makes the
// same of the memory it works in, and returns the same. It asks for operands, and
// for the memory they are in, once for each run.
func (k simdKernel) compare(t *testing.T, operands func() (operands[float32], [][]float32)) {
	t.Helper()
	o, want := operands()
	var wantResult uint64
	at(Portable, func() { wantResult = k.call(o) })
	o, got := operands()
	if result := k.call(o); result != wantResult {
		t.Fatalf("%s of %d, v %x, w %x: %#x, want %#x", k.name, len(o.dst), o.v, o.w, result, wantResult)
	}
	for m := range want {
		if i := k.differ(got[m], want[m]); i >= 0 {
			t.Fatalf("%s of %d, v %x, w %x: element %d of operand %d is %#x, want %#x", k.name, len(o.dst), o.v, o.w,
				i, m, math.Float32bits(got[m][i]), math.Float32bits(want[m][i]))
		}
	}
}

func (k simdKernel) differ(a, b []float32) int {
	for i := range a {
		if !sameBits(a[i], b[i]) && (k.moves || a[i] == a[i] || b[i] == b[i]) {
			return i
		}
	}
	return -1
}

// Every length up to several blocks, from odd offsets, with the same slice for two
// operands or all; what lies beside the operands is not touched.
func TestArithmeticLengths(t *testing.T) {
	const most, margin = 200, 16
	r := rand.New(rand.NewPCG(20, 21))
	finite := make([]float32, 3*(most+margin))
	for i := range finite { // and of many magnitudes, so that a sum shows its order
		finite[i] = float32(math.Ldexp(r.NormFloat64(), r.IntN(60)-30))
	}
	everyLevel(t, func(t *testing.T) {
		for _, numbers := range [][]float32{finite, mixture[float32](len(finite), 22)} {
			x, y, z := numbers[:most+margin], numbers[most+margin:][:most+margin], numbers[2*(most+margin):]
			for i := 0; i < len(y); i += 4 {
				z[i] = y[i] // for Delta
			}
			for _, k := range simdKernels() {
				for n := range most + 1 {
					for alias := range 4 {
						k.compare(t, func() (operands[float32], [][]float32) {
							memory := [][]float32{slices.Clone(x), slices.Clone(y), slices.Clone(z)}
							offset := (n + 4*alias) % margin
							o := operands[float32]{memory[0][offset:][:n], memory[1][offset*5%margin:][:n], memory[2][offset*5%margin:][:n], 0.3, 0.7}
							switch alias {
							case 1:
								o.dst = o.a
							case 2:
								o.dst = o.b
							case 3:
								o.dst, o.b = o.a, o.a
							}
							return o, memory
						})
					}
				}
			}
		}
	})
}

// specials are where float32 arithmetic turns: zeros, the ends of the denormals and
// of all numbers, infinities, quiet and signalling NaNs.
func specials() (x []float32) {
	for _, bits := range []uint32{0, 1, 0x7fffff, 0x800000, 0x3f800000, 0x3f800001, 0x7f7fffff, inf32, nan32, nan32 | 0x1234, inf32 | 0x1234} {
		x = append(x, math.Float32frombits(bits), math.Float32frombits(bits|sign32))
	}
	return x
}

// Every triple of special values as elements, every one as the scalar, every pair
// where a kernel takes two.
func TestArithmeticSpecials(t *testing.T) {
	var x, y, z []float32
	for _, a := range specials() {
		for _, b := range specials() {
			for _, c := range specials() {
				x, y, z = append(x, a), append(y, b), append(z, c)
			}
		}
	}
	everyLevel(t, func(t *testing.T) {
		for _, k := range simdKernels() {
			for _, v := range specials() {
				second := []float32{v}
				if slices.Contains([]string{"SubDiv", "Contrast", "SelectAxpy", "Approach"}, k.name) {
					second = specials()
				}
				for _, w := range second {
					k.compare(t, func() (operands[float32], [][]float32) {
						dst := slices.Clone(x)
						return operands[float32]{dst, y, z, v, w}, [][]float32{dst}
					})
				}
			}
		}
	})
}

// One number among NaNs, which must neither win nor make forget.
func TestExtremesAmongNaNs(t *testing.T) {
	x := make([]float32, 100)
	Fill(x, math.Float32frombits(nan32))
	everyLevel(t, func(t *testing.T) {
		for i := range x {
			x[i] = 7
			if most, least := Max(x), Min(x); most != 7 || least != 7 {
				t.Errorf("with 7 at %d, the maximum is %g and the minimum %g", i, most, least)
			}
			x[i] = x[(i+1)%len(x)]
		}
	})
}

// Operands that end, and some that also begin, at a page that must not be touched.
func TestArithmeticGuarded(t *testing.T) {
	const most = 1024
	tile := func() []float32 { return floats[float32](guarded(4 * most)) }
	dst, a, b := tile(), tile(), tile()
	copy(a, mixture[float32](most, 25))
	copy(b, mixture[float32](most, 26))
	counts := make([]uint32, 1<<16)
	lengths := []int{most}
	for n := range 201 {
		lengths = append(lengths, n)
	}
	everyLevel(t, func(t *testing.T) {
		for _, n := range lengths {
			o := operands[float32]{dst[most-n:], a[most-n:], b[most-n:], 0.3, 0.7}
			for _, k := range simdKernels() {
				k.call(o)
			}
			HistogramHigh(counts, o.a)
		}
	})
}

// Histograms of arbitrary bits, in runs of every length.
func TestHistogramLevels(t *testing.T) {
	r := rand.New(rand.NewPCG(23, 24))
	var s []float32
	for len(s) < 4096 {
		bits := r.Uint32()
		if r.IntN(2) == 0 {
			bits = bits&(sign32|0xffff) | 0x3f80<<16
		}
		for range 1 + r.IntN(4)*r.IntN(12) {
			s = append(s, math.Float32frombits(bits))
		}
	}
	count := func(s []float32) []uint32 {
		counts := make([]uint32, 1<<15)
		HistogramHigh(counts, s)
		return counts
	}
	parts := [][]float32{s}
	for n := range 201 {
		parts = append(parts, s[7*n:][:n])
	}
	everyLevel(t, func(t *testing.T) {
		for _, part := range parts {
			var want []uint32
			at(Portable, func() { want = count(part) })
			if !slices.Equal(count(part), want) {
				t.Fatalf("histograms of %d differ", len(part))
			}
		}
	})
}
