package vec

import "math"

// The kernels here make products of magnitudes from bfloat16 bytes, and report whether all of them are finite.

// MulAbsBF16 computes dst = |x|·|a|: [DecodeBF16] of both, [Abs] of a, then [MulAbs]. The product of two significands of 8 bits is exact, unless
// it is too large or too small.
func MulAbsBF16(dst []float32, x, a []byte) (finite bool) {
	x, a = x[:2*len(dst)], a[:2*len(dst)]
	n, finite := mulAbsBF16SIMD(dst, x, a)
	for i := n; i < len(dst); i++ {
		dst[i] = abs(fromBF16(x, i)) * abs(fromBF16(a, i))
		finite = finite && dst[i] <= math.MaxFloat32
	}
	return finite
}

// MulAbsByBF16 computes dst = |x|·|a|, only a being bfloat16.
func MulAbsByBF16(dst, x []float32, a []byte) (finite bool) {
	x, a = x[:len(dst)], a[:2*len(dst)]
	n, finite := mulAbsByBF16SIMD(dst, x, a)
	for i := n; i < len(dst); i++ {
		dst[i] = abs(x[i]) * abs(fromBF16(a, i))
		finite = finite && dst[i] <= math.MaxFloat32
	}
	return finite
}

// MulAbsDeltaBF16 computes dst = |x − base|·|a|, the difference +0 where x and base have the same bits: [DeltaBF16], then [MulAbsByBF16].
func MulAbsDeltaBF16(dst []float32, x, base, a []byte) (finite bool) {
	x, base, a = x[:2*len(dst)], base[:2*len(dst)], a[:2*len(dst)]
	n, finite := mulAbsDeltaBF16SIMD(dst, x, base, a)
	for i := n; i < len(dst); i++ {
		dst[i] = abs(difference(fromBF16(x, i), fromBF16(base, i))) * abs(fromBF16(a, i))
		finite = finite && dst[i] <= math.MaxFloat32
	}
	return finite
}

// DeltaMulAbsBF16 computes delta = x − base, and dst = |delta|·|a|, x and a being bfloat16: [DeltaBF16], then [MulAbsByBF16].
func DeltaMulAbsBF16(delta, dst []float32, x []byte, base []float32, a []byte) (finite bool) {
	delta, x, base, a = delta[:len(dst)], x[:2*len(dst)], base[:len(dst)], a[:2*len(dst)]
	n, finite := deltaMulAbsBF16SIMD(delta, dst, x, base, a)
	for i := n; i < len(dst); i++ {
		delta[i] = difference(fromBF16(x, i), base[i])
		dst[i] = abs(delta[i]) * abs(fromBF16(a, i))
		finite = finite && dst[i] <= math.MaxFloat32
	}
	return finite
}

// difference is x − base, and +0 where both have the same bits.
func difference(x, base float32) float32 {
	d := x - base
	if d != d && sameBits(x, base) {
		d = 0
	}
	return d
}
