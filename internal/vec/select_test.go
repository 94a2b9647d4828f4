package vec

import (
	"math"
	"slices"
	"testing"
)

func TestSelect(t *testing.T) {
	testSelect[float32](t)
	testSelect[float64](t)
}

func testSelect[T Float](t *testing.T) {
	thresholds := []float32{0, float32(math.Copysign(0, -1)), -1, 0.5, 1, 1 + 0x1p-23, math.SmallestNonzeroFloat32,
		0x1p-148, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())}
	for n := range 68 {
		for _, threshold := range thresholds {
			x, s := mixture[T](n+1, uint64(n)), mixture[float32](n+2, uint64(n)+500)
			want, count := slices.Clone(x), 0
			for i := range n {
				if s[i] >= threshold && s[i] > 0 {
					count++
				} else {
					want[i] = 0
				}
			}
			if got := CountAtLeast(s[:n], threshold); got != count {
				t.Fatalf("CountAtLeast %g of %d: %d, want %d", threshold, n, got, count)
			}
			for _, w := range []T{0.3, -1, 0, T(math.Inf(1)), T(math.NaN())} {
				acc := mixture[T](n+1, uint64(n)+1000)
				sum := slices.Clone(acc)
				Axpy(sum[:n], w, want)
				if got := SelectAxpy(acc[:n], w, x, s, threshold); got != count {
					t.Fatalf("SelectAxpy %g of %d adds %d, want %d", threshold, n, got, count)
				}
				for i := range sum {
					if !same(acc[i], sum[i]) {
						t.Fatalf("SelectAxpy %g of %d: element %d with score %g is %g, want %g", threshold, n, i, s[i], acc[i], sum[i])
					}
				}
			}
			if got := Select(x[:n], s, threshold); got != count {
				t.Fatalf("Select %g of %d keeps %d, want %d", threshold, n, got, count)
			}
			for i := range want {
				if !same(x[i], want[i]) {
					t.Fatalf("Select %g of %d: element %d with score %g is %g, want %g", threshold, n, i, s[i], x[i], want[i])
				}
			}
		}
	}
}

func TestSelectSize(t *testing.T) {
	levelsFrom(Portable, t, func(t *testing.T) {
		testSelectSize[float32](t)
		testSelectSize[float64](t)
	})
}

// Every length, from odd offsets up to a page that must not be touched, and all special values as elements and bounds.
func testSelectSize[T Float](t *testing.T) {
	inf := float32(math.Inf(1))
	bounds := [][2]float32{{0, inf}, {0, 1}, {1, 1 + 0x1p-23}, {0, math.MaxFloat32}, {math.MaxFloat32, inf}, {0.5, 0.5}, {inf, inf},
		{math.SmallestNonzeroFloat32, inf}, {0, math.SmallestNonzeroFloat32}, {0x1p-126, 2}, {float32(math.NaN()), inf}, {0, float32(math.NaN())}}
	const most = 100
	buffer := guardedOf[T](most)
	check := func(x []T) {
		t.Helper()
		for _, b := range bounds {
			kept := buffer[most-len(x):]
			copy(kept, x)
			SelectSize(kept, b[0], b[1])
			for i, v := range x {
				size := float32(math.Abs(float64(v)))
				if !(size <= math.MaxFloat32) {
					size = math.MaxFloat32
				}
				want := v
				if !(size >= b[0] && size < b[1]) {
					want = 0
				}
				if !sameBits(kept[i], want) {
					t.Fatalf("from %g to %g, element %d of %d, %g: %g, want %g", b[0], b[1], i, len(x), v, kept[i], want)
				}
			}
		}
	}
	for n := range most + 1 {
		check(mixture[T](n, uint64(n)))
	}
	var special []T
	for _, v := range specials() {
		special = append(special, T(v), T(v), T(v))
	}
	check(special)
}

func TestKeepSignAtZero(t *testing.T) {
	zero, nan := math.Copysign(0, -1), math.NaN()
	x := []float64{1, 2, 3, 4, 5, 6, 7}
	d := []float64{1, -1, 0, zero, -1, 1, nan}
	sum := []float64{0, 0, 1, -1, nan, zero, 1}
	KeepSign(x, d, sum)
	if want := []float64{1, 0, 0, 0, 5, 6, 0}; !slices.Equal(x, want) {
		t.Errorf("kept %g, want %g", x, want)
	}
}
