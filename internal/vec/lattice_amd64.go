//go:build !noasm

package vec

func tryLineSIMD(f *LineFit, x []float64, top, most float64) bool {
	n := len(x) / Lanes
	switch {
	case n == 0 || level < AVX2:
		return false
	case level == AVX512:
		tryLineAVX512(f, &x[0], n, float64(n), top, most)
	default:
		tryLineAVX2(f, &x[0], n, float64(n), top, most)
	}
	return true
}

func tryScaleSIMD(f *ScaleFit, x []float64, top, half float64) bool {
	n := len(x) / Lanes
	switch {
	case n == 0 || level < AVX2:
		return false
	case level == AVX512:
		tryScaleAVX512(f, &x[0], n, top, -half, half-1)
	default:
		tryScaleAVX2(f, &x[0], n, top, -half, half-1)
	}
	return true
}

// latticeStep is how many codes are made in one pass.
const latticeStep = 16

func latticeCodesSIMD(dst []byte, x []float32, offset, scale, least, most float64, zero byte) int {
	n := len(dst) / latticeStep * latticeStep
	switch {
	case n == 0 || level < AVX2:
		return 0
	case level == AVX512:
		latticeCodesAVX512(&dst[0], &x[0], n, offset, scale, least, most, zero)
	default:
		latticeCodesAVX2(&dst[0], &x[0], n, offset, scale, least, most, zero)
	}
	return n
}

func spansSIMD(x []float64, least, most, sum *[Lanes]float64) bool {
	if level < AVX2 || len(x) < Lanes {
		return false
	}
	spansAVX2(&x[0], len(x)/Lanes, least, most, sum)
	return true
}

// n is positive.

//go:noescape
func tryLineAVX2(f *LineFit, x *float64, n int, count, top, most float64)

//go:noescape
func tryLineAVX512(f *LineFit, x *float64, n int, count, top, most float64)

//go:noescape
func tryScaleAVX2(f *ScaleFit, x *float64, n int, top, least, most float64)

//go:noescape
func tryScaleAVX512(f *ScaleFit, x *float64, n int, top, least, most float64)

//go:noescape
func spansAVX2(x *float64, n int, least, most, sum *[Lanes]float64)

// n is a positive multiple of latticeStep.

//go:noescape
func latticeCodesAVX2(dst *byte, x *float32, n int, offset, scale, least, most float64, zero byte)

//go:noescape
func latticeCodesAVX512(dst *byte, x *float32, n int, offset, scale, least, most float64, zero byte)
