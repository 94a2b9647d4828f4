package vec

// The kernels here add up the bfloat16 bytes of several models in one pass over all of them: x has the bytes of each, w its weight.
// What comes from memory comes from several places at the same time, and no sum goes through memory between one model and the next.

// SumBF16 computes dst = Σ w·x: [ScaleBF16] of the first model, then [AxpyBF16] of the others in their order. There is at least one.
func SumBF16(dst []float32, x [][]byte, w []float32) {
	w = w[:len(x)]
	for i := sumBF16SIMD(dst, x, w); i < len(dst); i++ {
		acc := fromBF16(x[0], i) * w[0]
		for k := 1; k < len(x); k++ {
			acc += float32(w[k] * fromBF16(x[k], i))
		}
		dst[i] = acc
	}
}

// AddDeltasBF16 computes dst = base + λ·Σ w·(x − base), with +0 for the difference where both have the same bits, base being bfloat16 as well:
// [DecodeBF16] of it, [AxpyDeltaBF16] of each model to a sum that begins with +0, then [Apply].
func AddDeltasBF16(dst []float32, base []byte, lambda float32, x [][]byte, w []float32) {
	w = w[:len(x)]
	for i := addDeltasBF16SIMD(dst, base, lambda, x, w); i < len(dst); i++ {
		b, acc := fromBF16(base, i), float32(0)
		for k := range x {
			v := fromBF16(x[k], i)
			d := v - b
			if d != d && sameBits(v, b) {
				d = 0
			}
			acc += float32(w[k] * d)
		}
		dst[i] = b + float32(lambda*acc)
	}
}
