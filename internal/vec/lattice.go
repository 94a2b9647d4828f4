package vec

import "math"

// Searches for the scales by which values are stored as small whole numbers. Eight groups of values are looked at together, side by side: value i of group k is
// element 8i + k. Sums over a group are taken in the order of its values, so that each has the bits of a loop over the group alone. A product
// of a value and a code is exact.

// Lanes is how many groups lie side by side.
const Lanes = 8

// SideBySide fills dst with eight groups of n values, which lie one behind the other in src.
func SideBySide(dst []float64, src []float32, n int) {
	for k := range Lanes {
		group := src[k*n:][:n]
		lane := dst[k:]
		for i, v := range group {
			lane[Lanes*i] = float64(v)
		}
	}
}

// LineFit is a search for lines, code × Scale − Offset, that leave the least square error, with codes from 0 on and offsets that are not negative.
// Of a group with an Error of −∞ nothing is changed.
type LineFit struct {
	Width  [Lanes]float64 // from Least to the greatest value; positive
	Sum    [Lanes]float64 // of the values
	Least  [Lanes]float64 // what code 0 stands for before lines are fitted
	Error  [Lanes]float64 // of the best line, less the sum of the squares of the values; +∞ to begin with
	Scale  [Lanes]float64
	Offset [Lanes]float64
}

// Try gives codes to values by a scale which makes the greatest the code top, up to a code most; and keeps the line that is nearest to them, if it leaves less
// than the one before.
func (f *LineFit) Try(x []float64, top, most float64) {
	if !tryLineSIMD(f, x, top, most) {
		for k := range Lanes {
			f.try(x, k, top, most)
		}
	}
}

func (f *LineFit) try(x []float64, k int, top, most float64) {
	var q, xq, qq float64
	inverse := top / f.Width[k]
	for i := k; i < len(x); i += Lanes {
		code := min(wholeFloat64(float64(inverse*(x[i]-f.Least[k]))), most)
		q += code
		xq += float64(x[i] * code)
		qq += float64(code * code)
	}
	n, sum := float64(len(x)/Lanes), f.Sum[k]
	var a, b float64
	if det := float64(n*qq) - float64(q*q); det > 0 {
		a = (float64(n*xq) - float64(sum*q)) / det
		b = (sum - float64(a*q)) / n
	}
	if b > 0 || a <= 0 {
		a, b = xq/qq, 0
	}
	e := float64(float64(a*a)*qq) + float64(float64(b*b)*n) + 2*(float64(float64(a*b)*q)-float64(a*xq)-float64(b*sum))
	if e < f.Error[k] && a > 0 {
		f.Error[k], f.Scale[k], f.Offset[k] = e, a, -b
	}
}

// ScaleFit is a search for scales that leave the least square error, with codes from −half to half − 1. Of a group with a Gain of +∞ nothing is
// changed.
type ScaleFit struct {
	Most  [Lanes]float64 // the value of the largest magnitude; not 0
	Gain  [Lanes]float64 // of the best scale: by how much it makes the sum of the squares of the values less; 0 to begin with
	Scale [Lanes]float64
}

// Try gives codes to values by a scale which makes the value of the largest magnitude the code top, and keeps the scale that is best for them, if it gains more
// than the one before.
func (f *ScaleFit) Try(x []float64, top, half float64) {
	if !tryScaleSIMD(f, x, top, half) {
		for k := range Lanes {
			f.try(x, k, top, half)
		}
	}
}

func (f *ScaleFit) try(x []float64, k int, top, half float64) {
	var xq, qq float64
	inverse := top / f.Most[k]
	for i := k; i < len(x); i += Lanes {
		code := min(max(wholeFloat64(float64(inverse*x[i])), -half), half-1)
		xq += float64(x[i] * code)
		qq += float64(code * code)
	}
	if gain := float64(xq/qq) * xq; qq > 0 && gain > f.Gain[k] {
		f.Gain[k], f.Scale[k] = gain, xq/qq
	}
}

// wholeFloat64 rounds to the nearest whole number, ties to even; what is beyond 2^51 becomes another number beyond.
func wholeFloat64(x float64) float64 {
	const large = 0x1.8p52 // whose last bit is a one
	return float64(x+large) - large
}

// LatticeCodes fills dst with zero + (x + offset) / scale, the sum and the quotient rounded to float64, the quotient to the nearest whole number with ties to even,
// from least to most.
func LatticeCodes(dst []byte, x []float32, offset, scale, least, most float64, zero byte) {
	x = x[:len(dst)]
	for i := latticeCodesSIMD(dst, x, offset, scale, least, most, zero); i < len(dst); i++ {
		dst[i] = zero + byte(int8(min(max(wholeFloat64((float64(x[i])+offset)/scale), least), most)))
	}
}

// SpansSideBySide fills in the least value of each of eight groups, the greatest, and the sum, of values that are finite. A zero may be of either sign.
func SpansSideBySide(x []float64, least, most, sum *[Lanes]float64) {
	if spansSIMD(x, least, most, sum) {
		return
	}
	copy(least[:], x[:Lanes])
	copy(most[:], x[:Lanes])
	clear(sum[:])
	for i, v := range x {
		k := i % Lanes
		least[k], most[k] = min(least[k], v), max(most[k], v)
		sum[k] += v
	}
}

// ExtremesSideBySide fills in the first value of the largest magnitude of each of eight groups, of values that are finite.
func ExtremesSideBySide(x []float64, extreme *[Lanes]float64) {
	var least, most, sum [Lanes]float64
	SpansSideBySide(x, &least, &most, &sum)
	for k := range Lanes {
		switch {
		case most[k] > -least[k]:
			extreme[k] = most[k]
		case most[k] < -least[k]:
			extreme[k] = least[k]
		default: // both signs have it
			at := k
			for math.Abs(x[at]) != most[k] {
				at += Lanes
			}
			extreme[k] = x[at]
		}
	}
}
