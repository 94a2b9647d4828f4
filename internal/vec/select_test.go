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
