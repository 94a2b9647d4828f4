package vec

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// bitsOf are the first n bits of a mask.
func bitsOf(mask []uint32, n int) []bool {
	b := make([]bool, n)
	for i := range b {
		b[i] = mask[i/32]>>(i%32)&1 == 1
	}
	return b
}

func TestAtMost(t *testing.T) {
	const most = 7
	maskBuffer, numbers := guardedOf[uint32](most), guardedOf[int32](32*most)
	r := rand.New(rand.NewPCG(41, 42))
	levelsFrom(Portable, t, func(t *testing.T) {
		for _, last := range []int32{-1, 0, 1, 1 << 30, math.MaxInt32 - 1, math.MaxInt32, math.MinInt32} {
			for n := range most + 1 {
				mask, x := maskBuffer[most-n:], numbers[32*(most-n):]
				for i := range x {
					x[i] = []int32{0, 1, last, last + 1, last - 1, int32(r.Uint32()), int32(r.Uint32() >> 1), math.MinInt32}[r.IntN(8)]
				}
				AtMost(mask, x, last)
				for i, got := range bitsOf(mask, len(x)) {
					if got != (x[i] <= last) {
						t.Fatalf("%d is at most %d: %v", x[i], last, got)
					}
				}
			}
		}
	})
}

// Every length up to a page that must not be touched.
func TestHasBits(t *testing.T) {
	const most = 200
	maskBuffer, elements := guardedOf[uint32](words(most)), guardedOf[float32](most)
	r := rand.New(rand.NewPCG(45, 46))
	levelsFrom(Portable, t, func(t *testing.T) {
		for n := range most + 1 {
			for _, bits := range []uint32{0, 1, 0xffff, 1<<31 - 1, 1 << 31, math.MaxUint32} {
				mask, x := maskBuffer[words(most)-words(n):], elements[most-n:]
				for i := range x {
					x[i] = math.Float32frombits([]uint32{0, 1, 1 << 31, r.Uint32(), r.Uint32() << 16, bits, ^bits}[r.IntN(7)])
				}
				for i := range mask {
					mask[i] = r.Uint32()
				}
				HasBits(mask, x, bits)
				for i, got := range bitsOf(mask, 32*len(mask)) {
					if want := i < n && math.Float32bits(x[i])&bits != 0; got != want {
						t.Fatalf("element %d of %d, bits %#x: %v", i, n, bits, got)
					}
				}
			}
		}
	})
}

func TestSelectBits(t *testing.T) {
	testSelectBits[float32](t)
	testSelectBits[float64](t)
}

// Masks hold garbage behind the last element, and end where a page does.
func testSelectBits[T Float](t *testing.T) {
	const most = 200
	maskBuffer, elements := guardedOf[uint32](words(most)), guardedOf[T](most)
	r := rand.New(rand.NewPCG(43, 44))
	levelsFrom(Portable, t, func(t *testing.T) {
		for n := range most + 1 {
			mask := maskBuffer[len(maskBuffer)-words(n):]
			for i := range mask {
				mask[i] = r.Uint32()
			}
			x := elements[most-n:]
			copy(x, mixture[T](n, uint64(n)))
			want, positive := slices.Clone(x), slices.Clone(x)
			for i, kept := range bitsOf(mask, n) {
				if !kept {
					want[i] = 0
				}
				if positive[i]-positive[i] != 0 {
					positive[i] = 7
				}
			}
			SelectBits(x, mask)
			for i := range want {
				if !sameBits(x[i], want[i]) {
					t.Fatalf("%d elements: %d is %g, want %g", n, i, x[i], want[i])
				}
			}
			for _, x := range [][]T{positive, mixture[T](n, uint64(n)+1)} {
				kept := slices.Clone(x)
				SelectBits(kept, mask)
				a, k := SumAbsBits(x, mask)
				if wantA, wantK := SumAbs(x), SumAbs(kept); a != wantA && a == a || k != wantK && k == k || (wantA != wantA) != (a != a) || (wantK != wantK) != (k != k) {
					t.Fatalf("%d elements: sums %g and %g, want %g and %g", n, a, k, wantA, wantK)
				}
			}
		}
	})
}
