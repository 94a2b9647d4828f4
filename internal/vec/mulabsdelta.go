package vec

// MulAbsDeltaBF16 computes dst = |x − base|·|a|, and |+0|·|a| where x and base have the same bits, all three being bfloat16: [DeltaBF16], then
// [MulAbsByBF16].
func MulAbsDeltaBF16(dst []float32, x, base, a []byte) {
	x, base, a = x[:2*len(dst)], base[:2*len(dst)], a[:2*len(dst)]
	for i := mulAbsDeltaBF16SIMD(dst, x, base, a); i < len(dst); i++ {
		v, b := fromBF16(x, i), fromBF16(base, i)
		d := v - b
		if d != d && sameBits(v, b) {
			d = 0
		}
		dst[i] = abs(d) * abs(fromBF16(a, i))
	}
}
