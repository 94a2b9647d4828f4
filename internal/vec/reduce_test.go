package vec

import (
	"math"
	"math/rand/v2"
	"testing"
)

// inOrder sums terms as the package comment says, written another way.
func inOrder(terms []float64) float64 {
	lane := func(j int) (sum float64) {
		for i := j; i < len(terms); i += 16 {
			sum += terms[i]
		}
		return sum
	}
	var tree func(j, width int) float64
	tree = func(j, width int) float64 {
		if width == 16 {
			return lane(j)
		}
		return tree(j, 2*width) + tree(j+width, 2*width)
	}
	return tree(0, 1)
}

func TestSumOrder(t *testing.T) {
	testSumOrder[float32](t)
	testSumOrder[float64](t)
}

func testSumOrder[T Float](t *testing.T) {
	r := rand.New(rand.NewPCG(12, 13))
	matters := false
	for n := range 200 {
		a, b := make([]T, n), make([]T, n+1)
		sum, sumAbs, squares, products := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
		inSequence := 0.0
		for i := range a {
			a[i], b[i] = T(math.Ldexp(r.NormFloat64(), r.IntN(60))), T(r.NormFloat64())
			x, y := float64(a[i]), float64(b[i])
			sum[i], sumAbs[i], squares[i], products[i] = x, math.Abs(x), x*x, x*y
			inSequence += x
		}
		matters = matters || inSequence != inOrder(sum)
		for _, c := range []struct {
			name      string
			got, want float64
		}{
			{"Sum", Sum(a), inOrder(sum)},
			{"SumAbs", SumAbs(a), inOrder(sumAbs)},
			{"SumSquares", SumSquares(a), inOrder(squares)},
			{"Dot", Dot(a, b), inOrder(products)},
		} {
			if math.Float64bits(c.got) != math.Float64bits(c.want) {
				t.Fatalf("%s of %d: %x, want %x", c.name, n, c.got, c.want)
			}
		}
	}
	if !matters {
		t.Error("the order makes no difference to these numbers")
	}
}

func TestSumOfNegativeZeros(t *testing.T) {
	zero := float32(math.Copysign(0, -1))
	if got := Sum([]float32{zero, zero}); math.Signbit(got) {
		t.Error("the sum is -0")
	}
}

func TestMaxMin(t *testing.T) {
	inf, zero, nan := float32(math.Inf(1)), float32(math.Copysign(0, -1)), float32(math.NaN())
	for _, c := range []struct {
		x           []float32
		least, most float32
	}{
		{nil, inf, -inf},
		{[]float32{3}, 3, 3},
		{[]float32{nan, 2, nan, -1, nan}, -1, 2},
		{[]float32{nan}, inf, -inf},
		{[]float32{zero}, 0, 0},
		{[]float32{inf, -inf, 0}, -inf, inf},
	} {
		if got := Max(c.x); !same(got, c.most) {
			t.Errorf("Max of %g is %g, want %g", c.x, got, c.most)
		}
		if got := Min(c.x); !same(got, c.least) {
			t.Errorf("Min of %g is %g, want %g", c.x, got, c.least)
		}
	}
	for n := 1; n < 68; n++ {
		x := make([]float32, n)
		for i := range x {
			x[i] = 7
			if got := Max(x); got != 7 {
				t.Fatalf("Max misses element %d of %d", i, n)
			}
			x[i] = -7
			if got := Min(x); got != -7 {
				t.Fatalf("Min misses element %d of %d", i, n)
			}
			x[i] = 0
		}
	}
}
