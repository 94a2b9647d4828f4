package vec

import (
	"math"
	"slices"
)

// DecodeF8E4M3Groups fills dst with len(dst) values of E4M3 (see [DecodeF8E4M3]), each times the scale of its group, rounded once. Every
// NaN comes out as the one that encoders write.
func DecodeF8E4M3Groups(dst []float32, src []byte, scales []float32, group int) {
	src = src[:len(dst)]
	n := 0
	if !slices.ContainsFunc(scales[:(len(dst)+group-1)/group], tooLargeE4M3) {
		n = decodeF8E4M3GroupsSIMD(dst, src, scales, group)
	}
	for ; n < len(dst); n++ {
		product := fromE4M3[src[n]] * scales[n/group]
		if product != product {
			product = math.Float32frombits(nan32)
		}
		dst[n] = product
	}
}

// tooLargeE4M3 reports scales that assembly does not take.
func tooLargeE4M3(scale float32) bool { return !(abs(scale) < mostScaleE4M3) } // of a NaN, too

// mostScaleE4M3 bounds the scales that assembly takes: times 2^8, which it multiplies them with, they are finite.
const mostScaleE4M3 = 0x1p120
