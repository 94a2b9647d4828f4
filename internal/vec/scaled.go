package vec

import "math"

// DecodeScaledF8E4M3 fills dst with len(dst) values of E4M3 (see [DecodeF8E4M3]), each times scale, rounded once. Every
// NaN comes out as the one that encoders write.
func DecodeScaledF8E4M3(dst []float32, src []byte, scale float32) {
	src = src[:len(dst)]
	n := 0
	if abs(scale) < mostScaleE4M3 { // a NaN is not
		n = decodeScaledF8E4M3SIMD(dst, src, scale)
	}
	dst, src = dst[n:], src[n:]
	for i, code := range src {
		product := fromE4M3[code] * scale
		if product != product {
			product = math.Float32frombits(nan32)
		}
		dst[i] = product
	}
}

// mostScaleE4M3 bounds the scales that assembly takes: times 2^8, which it multiplies them with, they are finite.
const mostScaleE4M3 = 0x1p120
