package vec

import "math"

// lanes are the partial sums of a reduction; the package comment has the order.
type lanes [16]float64

func (l *lanes) fold() float64 {
	for half := len(l) / 2; half > 0; half /= 2 {
		for j := range half {
			l[j] += l[j+half]
		}
	}
	return l[0]
}

// Sum returns Σ x, and 0 for no elements.
func Sum[T Float](x []T) float64 {
	var l lanes
	x = x[sumSIMD(&l, x):]
	for ; len(x) >= len(l); x = x[len(l):] {
		for j, v := range (*[len(l)]T)(x) {
			l[j] += float64(v)
		}
	}
	for j, v := range x {
		l[j] += float64(v)
	}
	return l.fold()
}

// SumAbs returns Σ |x|, and 0 for no elements.
func SumAbs[T Float](x []T) float64 {
	var l lanes
	x = x[sumAbsSIMD(&l, x):]
	for ; len(x) >= len(l); x = x[len(l):] {
		for j, v := range (*[len(l)]T)(x) {
			l[j] += math.Abs(float64(v))
		}
	}
	for j, v := range x {
		l[j] += math.Abs(float64(v))
	}
	return l.fold()
}

// SumSquares returns Σ x², squared in float64, and 0 for no elements.
func SumSquares[T Float](x []T) float64 {
	var l lanes
	x = x[sumSquaresSIMD(&l, x):]
	return dot(&l, x, x)
}

// Dot returns Σ a·b, multiplied in float64, and 0 for no elements.
func Dot[T Float](a, b []T) float64 {
	b = b[:len(a)]
	var l lanes
	n := dotSIMD(&l, a, b)
	return dot(&l, a[n:], b[n:])
}

// dot adds the products of a and b to the lanes and folds them.
func dot[T Float](l *lanes, a, b []T) float64 {
	for ; len(a) >= len(l) && len(b) >= len(l); a, b = a[len(l):], b[len(l):] {
		c := (*[len(l)]T)(b)
		for j, v := range (*[len(l)]T)(a) {
			l[j] += float64(float64(v) * float64(c[j]))
		}
	}
	for j, v := range a {
		l[j] += float64(float64(v) * float64(b[j]))
	}
	return l.fold()
}

// Max returns the largest element, -Inf for none. NaNs are passed over: the
// caller has seen to it that x is finite. A maximum of 0 is +0.
func Max(x []float32) float32 {
	n, most := maxSIMD(x, float32(math.Inf(-1)))
	for _, v := range x[n:] {
		if v > most {
			most = v
		}
	}
	return most + 0 // -0 + 0 is +0
}

// Min returns the smallest element, +Inf for none. NaNs are passed over: the
// caller has seen to it that x is finite. A minimum of 0 is +0.
func Min(x []float32) float32 {
	n, least := minSIMD(x, float32(math.Inf(1)))
	for _, v := range x[n:] {
		if v < least {
			least = v
		}
	}
	return least + 0
}
