package sphere

import "math"

// The sine and the arc cosine of package math are compiled with fused multiply-adds on some
// processors, and written in assembly for others. These have the same bits everywhere: every
// product is rounded. They are within some units in the last place.

// Sine is sin x.
func Sine(x float64) float64 { return sineAhead(x, 0) }

// Cosine is cos x.
func Cosine(x float64) float64 { return sineAhead(x, 1) }

// sineAhead is sin(x + π/2·quarters).
func sineAhead(x float64, quarters int) float64 {
	// π/2 in two parts, of which the first has zeros at its end.
	const high, low = 0x1.921fb544p+0, 0x1.0b4611a626331p-34
	turn := math.Mod(x, 2*math.Pi)
	nearest := math.RoundToEven(turn / (math.Pi / 2))
	r := turn - float64(nearest*high) - float64(nearest*low)
	switch (int(nearest) + quarters + 8) % 4 {
	case 1:
		return taylor(r, 0)
	case 2:
		return -taylor(r, 1)
	case 3:
		return -taylor(r, 0)
	}
	return taylor(r, 1)
}

// taylor is the series of sin r, if first is 1, or of cos r, if it is 0, for |r| ≤ π/4.
func taylor(r, first float64) float64 {
	square := float64(r * r)
	sum := 1.0
	for n := first + 18; n > first; n -= 2 {
		sum = 1 - float64(float64(square*sum)/float64(n*(n-1)))
	}
	if first == 1 {
		return float64(r * sum)
	}
	return sum
}

// ArcCosine is acos c, for c in [-1, 1].
func ArcCosine(c float64) float64 {
	y, x := math.Sqrt(1-c), math.Sqrt(1+c) // the half angle's sine and cosine, times √2
	if y > x {
		return math.Pi - float64(2*arcTangent(x/y))
	}
	return 2 * arcTangent(y/x)
}

// arcTangent is atan y, for y in [0, 1].
func arcTangent(y float64) float64 {
	for range 2 { // a quarter of the angle
		y /= 1 + math.Sqrt(1+float64(y*y))
	}
	square := float64(y * y)
	var sum float64
	for n := 25.0; n > 0; n -= 2 {
		sum = 1/n - float64(square*sum)
	}
	return float64(4 * float64(y*sum))
}
