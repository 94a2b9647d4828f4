package vec

import "math"

// The functions of package math are in assembly on some machines and fused by the compiler on
// others, so they differ in the last bit. These do not: they are the algorithms of FreeBSD's
// e_exp.c and e_log.c, every operation rounded by itself, and within one unit in the last place.

// ln 2 in two parts, the first of which times an exponent is exact.
const (
	ln2Hi = 6.93147180369123816490e-01
	ln2Lo = 1.90821492927058770002e-10
)

// Exponentials computes dst = e^(x − shift) as [ExpDown] does. No x is above shift.
func Exponentials[T Float](dst []float64, x []T, shift float64) {
	x = x[:len(dst)]
	for i := exponentialsSIMD(dst, x, shift); i < len(dst); i++ {
		dst[i] = ExpDown(float64(x[i]) - shift)
	}
}

// EntropyTerms computes dst = x·ln(x/y), x being p·toP + least and y being q·toQ + least: the terms of a
// relative entropy of p and q, which are at least 0. Of such that are not finite comes NaN. The caller sees to it that x, y and
// their quotient are normal.
func EntropyTerms(dst, p, q []float64, toP, toQ, least float64) {
	p, q = p[:len(dst)], q[:len(dst)]
	for i := entropyTermsSIMD(dst, p, q, toP, toQ, least); i < len(dst); i++ {
		x, y := float64(p[i]*toP)+least, float64(q[i]*toQ)+least
		dst[i] = x * logNormal(x/y)
	}
}

// ExpDown is eˣ for x ≤ 0. What would be denormal is 0.
func ExpDown(x float64) float64 {
	const (
		p1 = 1.66666666666666657415e-01
		p2 = -2.77777777770155933842e-03
		p3 = 6.61375632143793436117e-05
		p4 = -1.65339022054652515390e-06
		p5 = 4.13813679705723846039e-08
	)
	if x < -708 {
		return 0
	}
	k := int(float64(x*math.Log2E) - 0.5) // x = k·ln 2 + r
	hi, lo := x-float64(float64(k)*ln2Hi), float64(float64(k)*ln2Lo)
	r := hi - lo
	t := float64(r * r)
	c := float64(t*p5) + p4
	c = float64(t*c) + p3
	c = float64(t*c) + p2
	c = float64(t*c) + p1
	c = r - float64(t*c)
	y := 1 - ((lo - float64(r*c)/(2-c)) - hi)
	return float64(y * math.Float64frombits(uint64(1023+k)<<52))
}

// logNormal is ln x for a normal x > 0, or NaN.
func logNormal(x float64) float64 {
	const (
		l1 = 6.666666666666735130e-01
		l2 = 3.999999999940941908e-01
		l3 = 2.857142874366239149e-01
		l4 = 2.222219843214978396e-01
		l5 = 1.818357216161805012e-01
		l6 = 1.531383769920937332e-01
		l7 = 1.479819860511658591e-01

		half = 0x3fe6a09e667f3bcd // the bits of √2/2
	)
	if x-x != 0 {
		return math.NaN()
	}
	bits := math.Float64bits(x)
	exponent := int64(bits-half) >> 52 // x = 2ᵏ(1 + f) with 1 + f in [√2/2, √2)
	f := math.Float64frombits(bits-uint64(exponent)<<52) - 1
	k := float64(exponent)
	s := f / (2 + f)
	z := float64(s * s)
	w := float64(z * z)
	t1 := l5 + float64(w*l7)
	t1 = l3 + float64(w*t1)
	t1 = l1 + float64(w*t1)
	t2 := l4 + float64(w*l6)
	t2 = l2 + float64(w*t2)
	r := float64(z*t1) + float64(w*t2)
	square := float64(float64(0.5*f) * f)
	return float64(k*ln2Hi) - ((square - (float64(s*(square+r)) + float64(k*ln2Lo))) - f)
}
