package vec

import "math"

// floor returns the least score that passes the threshold t: scores must be at
// least t and positive, and the second is one comparison if it is part of the
// first. A NaN threshold stays one and lets nothing pass.
func floor(t float32) float32 {
	return max(t, math.SmallestNonzeroFloat32)
}

// Select keeps x where s ≥ t and s > 0, and sets it to +0 elsewhere. It returns
// how many scores pass, whatever the elements of x are.
func Select[T Float](x []T, s []float32, t float32) int {
	s, t = s[:len(x)], floor(t)
	n, kept := selectSIMD(x, s, t)
	x, s = x[n:], s[n:]
	for i, v := range s {
		k := bit(v >= t)
		x[i] = keep(k, x[i])
		kept += int(k)
	}
	return kept
}

// SelectAxpy computes acc += w·x with +0 in place of x where a score does not pass, as
// [Select] would put it there, and the product rounded before it is added: Select on
// a copy of x, then [Axpy]. It returns how many scores pass.
func SelectAxpy[T Float](acc []T, w T, x []T, s []float32, t float32) (kept int) {
	x, s, t = x[:len(acc)], s[:len(acc)], floor(t)
	n, kept := selectAxpySIMD(acc, w, x, s, t)
	acc, x, s = acc[n:], x[n:], s[n:]
	for i, v := range s {
		k := bit(v >= t)
		acc[i] += T(w * keep(k, x[i]))
		kept += int(k)
	}
	return kept
}

// CountAtLeast returns how many scores [Select] would let pass.
func CountAtLeast(s []float32, t float32) int {
	t = floor(t)
	n, kept := countAtLeastSIMD(s, t)
	for _, v := range s[n:] {
		kept += int(bit(v >= t))
	}
	return kept
}

// SelectSize keeps x where low ≤ |x| < high, and sets it to +0 elsewhere. Sizes are those of x as float32; what
// is not finite has that of the largest finite number.
func SelectSize[T Float](x []T, low, high float32) {
	for i := selectSizeSIMD(x, low, high); i < len(x); i++ {
		size := abs(float32(x[i]))
		if size-size != 0 {
			size = math.MaxFloat32
		}
		x[i] = keep(bit(size >= low)&bit(size < high), x[i])
	}
}

// SignSum adds a model's weighted task vector d to the sum that elects the sign
// of each element.
func SignSum[T Float](sum, d []T) {
	Add(sum, d)
}

// KeepSign keeps x where d has the elected sign, + if sum ≥ 0 and - otherwise,
// and sets it to +0 elsewhere and where d is 0 (TIES-Merging, arXiv 2306.01708,
// section 3).
func KeepSign[T Float](x, d, sum []T) {
	d, sum = d[:len(x)], sum[:len(x)]
	n := keepSignSIMD(x, d, sum)
	x, d, sum = x[n:], d[n:], sum[n:]
	for i := range x {
		plus := bit(sum[i] >= 0)
		agrees := plus&bit(d[i] > 0) | (plus^1)&bit(d[i] < 0)
		x[i] = keep(agrees, x[i])
	}
}
