package vec

import "math"

// DecodeU8Affine fills dst with code × scale + offset, product and sum rounded by themselves. Codes are bytes, and scales and offsets are of
// groups of so many elements in a row, as in [DecodeI8Groups]. Every NaN comes out as the one that encoders write.
func DecodeU8Affine(dst []float32, src []byte, scales, offsets []float32, group int) {
	src = src[:len(dst)]
	for n := decodeU8AffineSIMD(dst, src, scales, offsets, group); n < len(dst); n++ {
		k := n / group
		x := float32(float32(src[n])*scales[k]) + offsets[k]
		if x != x {
			x = math.Float32frombits(nan32)
		}
		dst[n] = x
	}
}
