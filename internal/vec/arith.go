package vec

import (
	"bytes"
	"math"
)

// Delta computes dst = a - b, and +0 where a and b have the same bits, also if
// these are of an infinity or a NaN.
func Delta[T Float](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	n := deltaSIMD(dst, a, b)
	dst, a, b = dst[n:], a[n:], b[n:]
	for i := range dst {
		d := a[i] - b[i]
		// Of equal bits, only infinities and NaNs differ by anything but +0.
		if d != d && sameBits(a[i], b[i]) {
			d = 0
		}
		dst[i] = d
	}
}

// EqualBits reports whether the first len(a) elements of b have the bits of a.
// Unlike ==, it distinguishes -0 from +0 and finds a NaN equal to itself.
func EqualBits[T Float](a, b []T) bool {
	return bytes.Equal(memory(a), memory(b[:len(a)]))
}

// Abs computes dst = |x|.
func Abs[T Float](dst, x []T) {
	x = x[:len(dst)]
	n := absSIMD(dst, x)
	dst, x = dst[n:], x[n:]
	for i, v := range x {
		dst[i] = abs(v)
	}
}

// Sqrt computes dst = √x, correctly rounded.
func Sqrt[T Float](dst, x []T) {
	x = x[:len(dst)]
	n := sqrtSIMD(dst, x)
	dst, x = dst[n:], x[n:]
	for i, v := range x {
		// Of a float32, the root rounded twice is the root rounded once.
		dst[i] = T(math.Sqrt(float64(v)))
	}
}

// Square computes dst = x·x.
func Square[T Float](dst, x []T) {
	x = x[:len(dst)]
	n := squareSIMD(dst, x)
	dst, x = dst[n:], x[n:]
	for i, v := range x {
		dst[i] = v * v
	}
}

// Mul computes dst = a·b.
func Mul[T Float](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	n := mulSIMD(dst, a, b)
	dst, a, b = dst[n:], a[n:], b[n:]
	for i := range dst {
		dst[i] = a[i] * b[i]
	}
}

// MulAbs computes dst = |x|·a.
func MulAbs[T Float](dst, x, a []T) {
	x, a = x[:len(dst)], a[:len(dst)]
	n := mulAbsSIMD(dst, x, a)
	dst, x, a = dst[n:], x[n:], a[n:]
	for i := range dst {
		dst[i] = abs(x[i]) * a[i]
	}
}

// Scale computes dst = x·w.
func Scale[T Float](dst, x []T, w T) {
	x = x[:len(dst)]
	n := scaleSIMD(dst, x, w)
	dst, x = dst[n:], x[n:]
	for i, v := range x {
		dst[i] = v * w
	}
}

// Axpy computes acc += w·x, the product rounded before it is added.
func Axpy[T Float](acc []T, w T, x []T) {
	x = x[:len(acc)]
	n := axpySIMD(acc, w, x)
	acc, x = acc[n:], x[n:]
	for i, v := range x {
		acc[i] += T(w * v)
	}
}

// MulAxpy computes acc += (s·w)·x, each product rounded before it is used.
func MulAxpy[T Float](acc []T, w T, s, x []T) {
	s, x = s[:len(acc)], x[:len(acc)]
	n := mulAxpySIMD(acc, w, s, x)
	acc, s, x = acc[n:], s[n:], x[n:]
	for i := range acc {
		acc[i] += T(T(s[i]*w) * x[i])
	}
}

// Add computes dst += x.
func Add[T Float](dst, x []T) {
	x = x[:len(dst)]
	n := addSIMD(dst, x)
	dst, x = dst[n:], x[n:]
	for i, v := range x {
		dst[i] += v
	}
}

// Div computes dst = x/d. The caller sees to it that d is not 0.
func Div[T Float](dst, x []T, d T) {
	if w, ok := reciprocal(d); ok {
		Scale(dst, x, w)
		return
	}
	x = x[:len(dst)]
	n := divSIMD(dst, x, d)
	dst, x = dst[n:], x[n:]
	for i, v := range x {
		dst[i] = v / d
	}
}

// reciprocal is 1/d, if it is exact, so that a product with it is rounded as the quotient is: of powers of two.
func reciprocal[T Float](d T) (T, bool) {
	fraction, exponent := math.Frexp(float64(d)) // d = ±1/2 · 2^exponent
	return 1 / d, math.Abs(fraction) == 0.5 && exponent >= -125 && exponent <= 127
}

// DivBy computes dst = num/den, and +0 where den is 0.
func DivBy[T Float](dst, num, den []T) {
	num, den = num[:len(dst)], den[:len(dst)]
	n := divBySIMD(dst, num, den)
	dst, num, den = dst[n:], num[n:], den[n:]
	for i := range dst {
		dst[i] = keep(bit(den[i] != 0), num[i]/den[i])
	}
}

// SubDiv computes dst = (x - low)/d. The caller sees to it that d is not 0.
func SubDiv[T Float](dst, x []T, low, d T) {
	x = x[:len(dst)]
	n := subDivSIMD(dst, x, low, d)
	dst, x = dst[n:], x[n:]
	for i, v := range x {
		dst[i] = (v - low) / d
	}
}

// Apply computes dst = base + lambda·acc, the product rounded before it is added.
func Apply[T Float](dst, base []T, lambda T, acc []T) {
	base, acc = base[:len(dst)], acc[:len(dst)]
	n := applySIMD(dst, base, lambda, acc)
	dst, base, acc = dst[n:], base[n:], acc[n:]
	for i := range dst {
		dst[i] = base[i] + T(lambda*acc[i])
	}
}

// Contrast computes dst = s/(others/n + eps): a score over the mean of the
// other models' scores, of which others is the sum and n the number.
func Contrast(dst, s, others []float32, n, eps float32) {
	s, others = s[:len(dst)], others[:len(dst)]
	done := contrastSIMD(dst, s, others, n, eps)
	dst, s, others = dst[done:], s[done:], others[done:]
	for i := range dst {
		dst[i] = s[i] / (float32(others[i]/n) + eps)
	}
}

// Approach moves dst towards x by no more than about t: with δ as of [Delta] and w = t/max(|δ|, least),
// it computes dst = x where w ≥ 1, and dst += w·δ elsewhere, the product rounded before it is added.
// The caller sees to it that least is a number.
func Approach[T Float](dst, x []T, t, least T) {
	x = x[:len(dst)]
	n := approachSIMD(dst, x, t, least)
	dst, x = dst[n:], x[n:]
	for i, v := range x {
		d := v - dst[i]
		if d != d && sameBits(v, dst[i]) {
			d = 0
		}
		size := abs(d)
		w := t / choose(bit(size < least), least, size)
		dst[i] = choose(bit(w >= 1), v, dst[i]+T(w*d))
	}
}

// CountNonZero computes count += 1 where x is not 0.
func CountNonZero[T Float](count, x []T) {
	x = x[:len(count)]
	n := countNonZeroSIMD(count, x)
	count, x = count[n:], x[n:]
	for i, v := range x {
		count[i] = choose(bit(v != 0), count[i]+1, count[i])
	}
}

// AddWhereNonZero computes dst += s where x is not 0.
func AddWhereNonZero[T Float](dst, s, x []T) {
	s, x = s[:len(dst)], x[:len(dst)]
	n := addWhereNonZeroSIMD(dst, s, x)
	dst, s, x = dst[n:], s[n:], x[n:]
	for i := range dst {
		dst[i] = choose(bit(x[i] != 0), dst[i]+s[i], dst[i])
	}
}

// Fill sets every element of dst to v.
func Fill[T Float](dst []T, v T) {
	dst = dst[fillSIMD(dst, v):]
	for i := range dst {
		dst[i] = v
	}
}
